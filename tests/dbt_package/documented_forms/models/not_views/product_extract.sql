select
    cast('P-1' as varchar) as product_id,
    cast('2024-05-01 10:00:00' as timestamp) as changed_at,
    cast(9.99 as decimal(18, 2)) as price
