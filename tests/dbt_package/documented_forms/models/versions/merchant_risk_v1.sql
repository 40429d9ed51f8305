select
    cast(7 as bigint) as merchant_id,
    cast('2024-05-01 10:00:00' as timestamp) as scored_at,
    cast(0.5 as double precision) as risk
