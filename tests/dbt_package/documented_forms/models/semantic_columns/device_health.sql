select
    cast('D-9' as varchar) as device_id,
    cast('2024-05-01 10:00:00' as timestamp) as reported_at,
    cast(0.75 as double precision) as battery
