select 1 as customer_id, date '2024-04-01' as as_of, 'new' as segment
