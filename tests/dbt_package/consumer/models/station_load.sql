select
    cast('S-1' as varchar) as station,
    cast('2024-05-01 10:00:00' as timestamp) as counted_at,
    cast(12 as integer) as bikes

union all

select
    cast('S-1' as varchar) as station,
    cast('2024-05-01 11:00:00' as timestamp) as counted_at,
    cast(9 as integer) as bikes
