select 1 as customer_id, timestamp '2024-05-01 09:00:00' as ordered_at, 1 as orders
