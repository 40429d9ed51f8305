SELECT
  CAST([orders_7d] AS FLOAT) AS [f0],
  CAST([amount_7d] AS FLOAT) AS [f1],
  CASE WHEN NOT [basket] IS NULL THEN CAST(1 AS FLOAT) END AS [f2]
FROM (
  SELECT
    [customer_orders].[customer_id],
    CAST([customer_orders].[ordered_at] AT TIME ZONE 'UTC' AS DATETIME2(6)) AS [event_timestamp],
    [customer_orders].[orders_7d],
    [customer_orders].[amount_7d],
    [customer_orders].[basket]
  FROM [shop].[features].[customer_orders]
  WHERE
    NOT [customer_orders].[customer_id] IS NULL AND NOT [customer_orders].[ordered_at] IS NULL
) AS [history]
WHERE
  [event_timestamp] >= CAST('2024-01-31 12:30:00.000000' AS DATETIME2(6))
  AND [event_timestamp] < CAST('2024-03-01 12:30:00.000000' AS DATETIME2(6))
