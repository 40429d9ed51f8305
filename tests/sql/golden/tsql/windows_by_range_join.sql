WITH [spine] AS (
  SELECT
    ROW_NUMBER() OVER (ORDER BY (
      SELECT
        NULL
    ) ASC) AS [row_number],
    [customer_id],
    [shop],
    [event_timestamp],
    [label]
  FROM [shop].[ml].[labels]
), [asked] AS (
  SELECT
    [row_number],
    CAST([event_timestamp] AS DATETIME2(6)) AS [asked_at],
    [customer_id]
  FROM [spine]
), [customer_payments_keys] AS (
  SELECT DISTINCT
    [customer_id]
  FROM [asked]
), [customer_payments_events] AS (
  SELECT
    [customer_payments].[customer_id],
    CAST([customer_payments].[paid_at] AT TIME ZONE 'UTC' AS DATETIME2(6)) AS [event_timestamp],
    DATEADD(HOUR, 1, CAST([customer_payments].[paid_at] AT TIME ZONE 'UTC' AS DATETIME2(6))) AS [known_at],
    [customer_payments].[amount],
    CASE
      WHEN NOT [customer_payments].[amount] IS NULL
      THEN ROW_NUMBER() OVER (
        PARTITION BY [customer_payments].[customer_id]
        ORDER BY CAST([customer_payments].[paid_at] AT TIME ZONE 'UTC' AS DATETIME2(6)) ASC, CAST([customer_payments].[loaded_at] AT TIME ZONE 'UTC' AS DATETIME2(6)) ASC, [customer_payments].[amount] ASC
      )
    END AS [amount_version],
    CASE
      WHEN ABS([customer_payments].[score]) < 4398046511104
      THEN CAST(CAST(CAST(FLOOR([customer_payments].[score] * CAST('2048.0' AS FLOAT)) AS BIGINT) AS NUMERIC(38, 0)) * CAST(9007199254740992 AS NUMERIC(38, 0)) + CAST(CAST(FLOOR(
        (
          [customer_payments].[score] * CAST('2048.0' AS FLOAT) - FLOOR([customer_payments].[score] * CAST('2048.0' AS FLOAT))
        ) * CAST('9007199254740992.0' AS FLOAT)
      ) AS BIGINT) AS NUMERIC(38, 0)) AS NUMERIC(38, 0))
    END AS [score_units],
    CASE
      WHEN ABS([customer_payments].[score]) < 4398046511104
      THEN 1
      WHEN NOT [customer_payments].[score] IS NULL
      THEN 4294967297
    END AS [score_tally],
    1 AS [event],
    CASE WHEN [customer_payments].status = 'paid' THEN [customer_payments].[amount] END AS [paid]
  FROM [shop].[features].[customer_payments]
  INNER JOIN [customer_payments_keys]
    ON [customer_payments_keys].[customer_id] = [customer_payments].[customer_id]
  WHERE
    (
      NOT [customer_payments].[customer_id] IS NULL AND NOT [customer_payments].[paid_at] IS NULL
    )
    AND CAST([customer_payments].[paid_at] AT TIME ZONE 'UTC' AS DATETIME2(6)) > DATEADD(DAY, -30, (
      SELECT
        MIN([asked_at])
      FROM [asked]
    ))
    AND DATEADD(HOUR, 1, CAST([customer_payments].[paid_at] AT TIME ZONE 'UTC' AS DATETIME2(6))) <= (
      SELECT
        MAX([asked_at])
      FROM [asked]
    )
), [customer_payments_windows] AS (
  SELECT
    [asked].[row_number],
    [asked].[customer_id],
    MAX([customer_payments_events].[event_timestamp]) AS [event_timestamp],
    SUM(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -1, [asked].[asked_at])
        THEN [customer_payments_events].[amount]
      END
    ) AS [amount_sum_1d],
    SUM(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -7, [asked].[asked_at])
        THEN [customer_payments_events].[amount]
      END
    ) AS [amount_sum_7d],
    MAX(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -1, [asked].[asked_at])
        THEN [customer_payments_events].[amount]
      END
    ) AS [amount_max_1d],
    MAX(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -7, [asked].[asked_at])
        THEN [customer_payments_events].[amount]
      END
    ) AS [amount_max_7d],
    MAX(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -1, [asked].[asked_at])
        THEN [customer_payments_events].[amount_version]
      END
    ) AS [amount_version_max_1d],
    MAX(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -7, [asked].[asked_at])
        THEN [customer_payments_events].[amount_version]
      END
    ) AS [amount_version_max_7d],
    SUM(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -7, [asked].[asked_at])
        THEN [customer_payments_events].[score_units]
      END
    ) AS [score_units_sum_7d],
    SUM(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -7, [asked].[asked_at])
        THEN [customer_payments_events].[score_tally]
      END
    ) AS [score_tally_sum_7d],
    COUNT([customer_payments_events].[event]) AS [event_count_30d],
    SUM(
      CASE
        WHEN [customer_payments_events].[event_timestamp] > DATEADD(DAY, -1, [asked].[asked_at])
        THEN [customer_payments_events].[paid]
      END
    ) AS [paid_sum_1d]
  FROM [asked]
  INNER JOIN [customer_payments_events]
    ON [asked].[customer_id] = [customer_payments_events].[customer_id]
    AND [customer_payments_events].[known_at] <= [asked].[asked_at]
    AND [customer_payments_events].[event_timestamp] > DATEADD(DAY, -30, [asked].[asked_at])
  GROUP BY
    [asked].[row_number],
    [asked].[customer_id]
), [customer_payments_values] AS (
  SELECT
    [customer_payments_windows].[row_number],
    CAST([amount_sum_1d] AS NUMERIC(38, 2)) AS [amount_sum_1d],
    CAST([amount_sum_7d] AS NUMERIC(38, 2)) AS [amount_sum_7d],
    [amount_max_1d],
    [amount_max_7d],
    [last_amount_1d].[amount] AS [amount_last_1d],
    [last_amount_7d].[amount] AS [amount_last_7d],
    CASE
      WHEN [score_tally_sum_7d] >= 4294967296
      THEN CAST(NULL AS FLOAT)
      ELSE CAST([score_units_sum_7d] AS FLOAT) / CAST('1.8446744073709552e+19' AS FLOAT)
    END AS [score_sum_7d],
    CASE
      WHEN [score_tally_sum_7d] >= 4294967296
      THEN CAST(NULL AS FLOAT)
      ELSE CAST([score_units_sum_7d] AS FLOAT) / CAST('1.8446744073709552e+19' AS FLOAT) / CAST([score_tally_sum_7d] % 4294967296 AS FLOAT)
    END AS [score_avg_7d],
    CAST(COALESCE([score_tally_sum_7d] % 4294967296, 0) AS BIGINT) AS [score_count_7d],
    CAST([event_count_30d] AS BIGINT) AS [count_30d],
    CAST([paid_sum_1d] AS NUMERIC(38, 2)) AS [paid_sum_1d]
  FROM [customer_payments_windows]
  LEFT JOIN [customer_payments_events] AS [last_amount_1d]
    ON [customer_payments_windows].[customer_id] = [last_amount_1d].[customer_id]
    AND [last_amount_1d].[amount_version] = [customer_payments_windows].[amount_version_max_1d]
  LEFT JOIN [customer_payments_events] AS [last_amount_7d]
    ON [customer_payments_windows].[customer_id] = [last_amount_7d].[customer_id]
    AND [last_amount_7d].[amount_version] = [customer_payments_windows].[amount_version_max_7d]
  WHERE
    NOT [customer_payments_windows].[event_timestamp] IS NULL
)
SELECT
  [spine].[customer_id],
  [spine].[shop],
  [spine].[event_timestamp],
  [spine].[label],
  [customer_payments_values].[amount_sum_1d],
  [customer_payments_values].[amount_sum_7d],
  [customer_payments_values].[amount_max_1d],
  [customer_payments_values].[amount_max_7d],
  [customer_payments_values].[amount_last_1d],
  [customer_payments_values].[amount_last_7d],
  [customer_payments_values].[score_sum_7d],
  [customer_payments_values].[score_avg_7d],
  [customer_payments_values].[score_count_7d],
  [customer_payments_values].[count_30d],
  [customer_payments_values].[paid_sum_1d]
FROM [spine]
LEFT JOIN [customer_payments_values]
  ON [customer_payments_values].[row_number] = [spine].[row_number]
ORDER BY
  [spine].[row_number] ASC
