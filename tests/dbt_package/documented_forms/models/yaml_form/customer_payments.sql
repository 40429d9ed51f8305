select
    cast(1 as bigint) as customer_id,
    cast('2024-05-01 10:00:00' as timestamp) as paid_at,
    cast('2024-05-01 11:00:00' as timestamp) as loaded_at,
    cast(12.50 as decimal(18, 2)) as amount,
    cast('paid' as varchar) as status
