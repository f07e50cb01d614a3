-- Who has the most follow-ups open, and how old is the oldest?
select
    coalesce(assignee ->> 'name', '(unassigned)') as owner,
    count(*) as open,
    date_diff('day', min(created_at), current_localtimestamp()) as "oldest, days",
    count(distinct incident_id) as incidents
from follow_ups
where status = 'outstanding'
group by owner
order by open desc, owner
limit 10;
