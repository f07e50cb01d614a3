-- Who has the most follow-ups open, and how old is the oldest?
select
    coalesce(assignee ->> 'name', '(nobody)') as owner,
    count(*) as open,
    date_diff('day', min(follow_ups.created_at), current_localtimestamp()) as "oldest, days",
    arg_min(title, follow_ups.created_at) as "the oldest"
from follow_ups
where status = 'outstanding'
group by owner
order by open desc, owner
limit 10;
