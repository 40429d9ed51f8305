select
    cast(1 as bigint) as customer_id,
    cast(7 as bigint) as merchant_id,
    cast('2024-05-01 10:00:00' as timestamp) as paid_at,
    cast(4 as integer) as payments_30d
