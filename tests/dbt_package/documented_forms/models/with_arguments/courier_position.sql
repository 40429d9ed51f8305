select
    cast('K-3' as varchar) as courier,
    cast('2024-05-01 10:00:00' as timestamp) as seen_at,
    cast('2024-05-01 11:00:00' as timestamp) as loaded_at,
    cast(52.5 as double precision) as latitude
