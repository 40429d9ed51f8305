select
    cast(1 as bigint) as customer_id,
    cast('2024-05-01 10:00:00' as timestamp) as ordered_at,
    cast('2024-05-01 11:00:00' as timestamp) as loaded_at,
    cast(3 as bigint) as orders_7d,
    cast(12.50 as decimal(18, 2)) as amount_7d,
    cast(true as boolean) as has_account
