select * from (values
    (1, timestamp '2024-05-01 09:00:00', 1, 10.0),
    (1, timestamp '2024-05-02 09:00:00', 2, 30.0),
    (2, timestamp '2024-05-01 12:00:00', 1, 5.0)
) as orders (customer_id, ordered_at, orders_7d, spent_7d)
