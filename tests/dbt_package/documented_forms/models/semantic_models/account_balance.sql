select
    cast(5 as bigint) as account_no,
    cast('2024-05-01 10:00:00' as timestamp) as balanced_at,
    cast(100.00 as decimal(18, 2)) as balance
