select
    cast('S-1' as varchar) as store_id,
    cast('2024-05-01 10:00:00' as timestamp) as visited_at,
    cast('2024-05-01 11:00:00' as timestamp) as loaded_at,
    cast(12 as integer) as visits_1h
