-- How many incidents did we have each month, by severity?
with counted as (
    select strftime(created_at, '%Y-%m') as month, coalesce(severity ->> 'name', '(none)') as severity
    from incidents
    where incident_status ->> 'category' not in ('declined', 'canceled', 'merged')
)
pivot counted on severity using count(*) group by month
order by month desc
limit 12;
