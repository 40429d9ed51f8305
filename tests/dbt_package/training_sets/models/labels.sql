select * from (values
    (1, timestamp '2024-05-01 09:00:00', false),
    (1, timestamp '2024-05-02 08:59:59.999999', true),
    (1, timestamp '2024-05-02 10:00:00', true),
    (2, timestamp '2024-05-20 00:00:00', false),
    (null, timestamp '2024-05-02 09:00:00', true),
    (1, null, false),
    (1, null, false)
) as labels (customer_id, event_timestamp, churned)
