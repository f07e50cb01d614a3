-- How long do incidents take to resolve, in hours?
with timestamps as (
    select
        incidents.id,
        severity ->> 'name' as severity,
        (severity ->> 'rank')::int as rank,
        entry ->> '$.incident_timestamp.name' as name,
        (entry ->> '$.value.value')::timestamp as reached_at
    from incidents, unnest(incident_timestamp_values::json[]) as listed (entry)
),
resolved as (
    select
        severity,
        rank,
        epoch(
            max(reached_at) filter (name = 'Resolved at') - min(reached_at) filter (name = 'Reported at')
        ) / 3600 as hours
    from timestamps
    group by id, severity, rank
)
select
    coalesce(severity, '(none)') as severity,
    count(*) as resolved,
    round(median(hours), 1) as median,
    round(quantile_cont(hours, 0.9), 1) as "90th percentile",
    round(max(hours), 1) as longest
from resolved
where hours is not null
group by severity, rank
order by rank desc;
