-- How long do incidents take to resolve, in hours?
with moments as (
    select
        incidents.id,
        severity ->> 'name' as severity,
        (severity ->> 'rank')::int as rank,
        moment ->> '$.incident_timestamp.name' as name,
        (moment ->> '$.value.value')::timestamp as passed
    from incidents, unnest(incident_timestamp_values::json[]) as listed (moment)
),
resolved as (
    select
        severity,
        rank,
        epoch(max(passed) filter (name = 'Resolved at') - min(passed) filter (name = 'Reported at')) / 3600 as hours
    from moments
    group by id, severity, rank
)
select
    coalesce(severity, '(none)') as severity,
    count(*) as resolved,
    round(median(hours), 1) as median,
    round(quantile_cont(hours, 0.9), 1) as "nine in ten within",
    round(max(hours), 1) as longest
from resolved
where hours is not null
group by severity, rank
order by rank desc;
