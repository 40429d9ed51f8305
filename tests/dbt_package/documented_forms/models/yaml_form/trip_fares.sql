select
    cast(2 as integer) as vendor_id,
    cast('T-17' as varchar) as trip_no,
    cast('2024-05-01 10:00:00' as timestamp) as ended_at,
    cast(31.5 as double precision) as fare
