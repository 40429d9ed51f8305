WITH "recent" AS (
  SELECT
    "customer_payments"."customer_id",
    "customer_payments"."paid_at" AT TIME ZONE 'UTC' AS "event_timestamp",
    "customer_payments"."paid_at" AT TIME ZONE 'UTC' + INTERVAL '1 HOUR' AS "known_at"
  FROM "shop"."features"."customer_payments"
  WHERE
    (
      NOT "customer_payments"."customer_id" IS NULL AND NOT "customer_payments"."paid_at" IS NULL
    )
    AND "customer_payments"."paid_at" AT TIME ZONE 'UTC' > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) - INTERVAL '30 DAY'
    AND "customer_payments"."paid_at" AT TIME ZONE 'UTC' + INTERVAL '1 HOUR' <= CAST('2024-03-02 12:30:00.000000' AS TIMESTAMP)
), "changes" AS (
  SELECT
    "customer_id",
    CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) AS "instant"
  FROM "recent"
  UNION
  SELECT
    "customer_id",
    "known_at" AS "instant"
  FROM "recent"
  WHERE
    "known_at" > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP)
    AND "known_at" <= CAST('2024-03-02 12:30:00.000000' AS TIMESTAMP)
  UNION
  SELECT
    "customer_id",
    "event_timestamp" + INTERVAL '1 DAY' AS "instant"
  FROM "recent"
  WHERE
    "event_timestamp" + INTERVAL '1 DAY' > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP)
    AND "event_timestamp" + INTERVAL '1 DAY' <= CAST('2024-03-02 12:30:00.000000' AS TIMESTAMP)
  UNION
  SELECT
    "customer_id",
    "event_timestamp" + INTERVAL '7 DAY' AS "instant"
  FROM "recent"
  WHERE
    "event_timestamp" + INTERVAL '7 DAY' > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP)
    AND "event_timestamp" + INTERVAL '7 DAY' <= CAST('2024-03-02 12:30:00.000000' AS TIMESTAMP)
  UNION
  SELECT
    "customer_id",
    "event_timestamp" + INTERVAL '30 DAY' AS "instant"
  FROM "recent"
  WHERE
    "event_timestamp" + INTERVAL '30 DAY' > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP)
    AND "event_timestamp" + INTERVAL '30 DAY' <= CAST('2024-03-02 12:30:00.000000' AS TIMESTAMP)
), "steps" AS (
  SELECT
    ROW_NUMBER() OVER (ORDER BY "customer_id" ASC NULLS FIRST, "instant" ASC NULLS FIRST) AS "row_number",
    "customer_id",
    "instant"
  FROM "changes"
), "spine" AS (
  SELECT
    "row_number",
    "customer_id",
    "instant"
  FROM "steps"
), "asked" AS (
  SELECT
    "row_number",
    CAST("instant" AS TIMESTAMP) AS "asked_at",
    "customer_id"
  FROM "spine"
), "customer_payments_events" AS (
  SELECT
    "customer_payments"."customer_id",
    "customer_payments"."paid_at" AT TIME ZONE 'UTC' AS "event_timestamp",
    "customer_payments"."paid_at" AT TIME ZONE 'UTC' + INTERVAL '1 HOUR' AS "known_at",
    "customer_payments"."paid_at",
    "customer_payments"."amount",
    CASE
      WHEN NOT "customer_payments"."amount" IS NULL
      THEN ROW_NUMBER() OVER (
        PARTITION BY "customer_payments"."customer_id"
        ORDER BY "customer_payments"."paid_at" AT TIME ZONE 'UTC' ASC NULLS FIRST, "customer_payments"."loaded_at" AT TIME ZONE 'UTC' ASC NULLS FIRST, "customer_payments"."amount" ASC NULLS FIRST
      )
    END AS "amount_version",
    CASE
      WHEN ABS("customer_payments"."score") < 4398046511104
      THEN CAST(CAST(CAST(FLOOR("customer_payments"."score" * CAST('2048.0' AS DOUBLE PRECISION)) AS BIGINT) AS DECIMAL) * CAST(9007199254740992 AS DECIMAL) + CAST(CAST(FLOOR(
        (
          "customer_payments"."score" * CAST('2048.0' AS DOUBLE PRECISION) - FLOOR("customer_payments"."score" * CAST('2048.0' AS DOUBLE PRECISION))
        ) * CAST('9007199254740992.0' AS DOUBLE PRECISION)
      ) AS BIGINT) AS DECIMAL) AS DECIMAL)
    END AS "score_units",
    CASE
      WHEN ABS("customer_payments"."score") < 4398046511104
      THEN 1
      WHEN NOT "customer_payments"."score" IS NULL
      THEN 4294967297
    END AS "score_tally",
    1 AS "event",
    CASE WHEN "customer_payments".status = 'paid' THEN "customer_payments"."amount" END AS "paid"
  FROM "shop"."features"."customer_payments"
  WHERE
    (
      NOT "customer_payments"."customer_id" IS NULL AND NOT "customer_payments"."paid_at" IS NULL
    )
    AND "customer_payments"."paid_at" AT TIME ZONE 'UTC' > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) - INTERVAL '30 DAY'
    AND "customer_payments"."paid_at" AT TIME ZONE 'UTC' + INTERVAL '1 HOUR' <= CAST('2024-03-02 12:30:00.000000' AS TIMESTAMP)
), "customer_payments_timeline" AS (
  SELECT
    "customer_id",
    CAST(EXTRACT(EPOCH FROM "known_at") * 1000000 AS BIGINT) AS "microseconds",
    CAST(NULL AS BIGINT) AS "row_number",
    "event_timestamp",
    "paid_at",
    "amount",
    "amount_version",
    "score_units",
    "score_tally",
    "event",
    "paid"
  FROM "customer_payments_events"
  WHERE
    "event_timestamp" >= CAST('0001-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "event_timestamp" <= CAST('9999-12-31 23:59:59.999999' AS TIMESTAMP)
  UNION ALL
  SELECT
    "customer_id",
    CAST(EXTRACT(EPOCH FROM "asked_at") * 1000000 AS BIGINT),
    "row_number",
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL
  FROM "asked"
  WHERE
    "asked_at" >= CAST('0001-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "asked_at" <= CAST('9999-12-31 23:59:59.999999' AS TIMESTAMP)
), "customer_payments_windows" AS (
  SELECT
    "row_number",
    "customer_id",
    MAX("event_timestamp") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 2588399999999 PRECEDING AND CURRENT ROW
    ) AS "event_timestamp",
    MAX("paid_at") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 2588399999999 PRECEDING AND CURRENT ROW
    ) AS "paid_at_max_30d",
    SUM("amount") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 82799999999 PRECEDING AND CURRENT ROW
    ) AS "amount_sum_1d",
    SUM("amount") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 601199999999 PRECEDING AND CURRENT ROW
    ) AS "amount_sum_7d",
    MAX("amount") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 82799999999 PRECEDING AND CURRENT ROW
    ) AS "amount_max_1d",
    MAX("amount") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 601199999999 PRECEDING AND CURRENT ROW
    ) AS "amount_max_7d",
    MAX("amount_version") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 82799999999 PRECEDING AND CURRENT ROW
    ) AS "amount_version_max_1d",
    MAX("amount_version") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 601199999999 PRECEDING AND CURRENT ROW
    ) AS "amount_version_max_7d",
    SUM("score_units") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 601199999999 PRECEDING AND CURRENT ROW
    ) AS "score_units_sum_7d",
    SUM("score_tally") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 601199999999 PRECEDING AND CURRENT ROW
    ) AS "score_tally_sum_7d",
    COUNT("event") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 2588399999999 PRECEDING AND CURRENT ROW
    ) AS "event_count_30d",
    SUM("paid") OVER (
      PARTITION BY "customer_id"
      ORDER BY "microseconds" ASC NULLS FIRST
      RANGE BETWEEN 82799999999 PRECEDING AND CURRENT ROW
    ) AS "paid_sum_1d"
  FROM "customer_payments_timeline"
), "customer_payments_values" AS (
  SELECT
    "customer_payments_windows"."row_number",
    "paid_at_max_30d" AS "newest_event",
    CAST("amount_sum_1d" AS DECIMAL(38, 2)) AS "amount_sum_1d",
    CAST("amount_sum_7d" AS DECIMAL(38, 2)) AS "amount_sum_7d",
    "amount_max_1d",
    "amount_max_7d",
    "last_amount_1d"."amount" AS "amount_last_1d",
    "last_amount_7d"."amount" AS "amount_last_7d",
    CASE
      WHEN "score_tally_sum_7d" >= 4294967296
      THEN CAST('NaN' AS DOUBLE PRECISION)
      ELSE CAST("score_units_sum_7d" AS DOUBLE PRECISION) / CAST('1.8446744073709552e+19' AS DOUBLE PRECISION)
    END AS "score_sum_7d",
    CASE
      WHEN "score_tally_sum_7d" >= 4294967296
      THEN CAST('NaN' AS DOUBLE PRECISION)
      ELSE CAST("score_units_sum_7d" AS DOUBLE PRECISION) / CAST('1.8446744073709552e+19' AS DOUBLE PRECISION) / CAST("score_tally_sum_7d" % 4294967296 AS DOUBLE PRECISION)
    END AS "score_avg_7d",
    CAST(COALESCE("score_tally_sum_7d" % 4294967296, 0) AS BIGINT) AS "score_count_7d",
    CAST("event_count_30d" AS BIGINT) AS "count_30d",
    CAST("paid_sum_1d" AS DECIMAL(38, 2)) AS "paid_sum_1d"
  FROM "customer_payments_windows"
  LEFT JOIN "customer_payments_events" AS "last_amount_1d"
    ON "customer_payments_windows"."customer_id" = "last_amount_1d"."customer_id"
    AND "last_amount_1d"."amount_version" = "customer_payments_windows"."amount_version_max_1d"
  LEFT JOIN "customer_payments_events" AS "last_amount_7d"
    ON "customer_payments_windows"."customer_id" = "last_amount_7d"."customer_id"
    AND "last_amount_7d"."amount_version" = "customer_payments_windows"."amount_version_max_7d"
  WHERE
    NOT "customer_payments_windows"."row_number" IS NULL
    AND NOT "customer_payments_windows"."event_timestamp" IS NULL
)
SELECT
  "spine"."customer_id",
  "spine"."instant",
  "customer_payments_values"."newest_event",
  "customer_payments_values"."amount_sum_1d",
  "customer_payments_values"."amount_sum_7d",
  "customer_payments_values"."amount_max_1d",
  "customer_payments_values"."amount_max_7d",
  "customer_payments_values"."amount_last_1d",
  "customer_payments_values"."amount_last_7d",
  "customer_payments_values"."score_sum_7d",
  "customer_payments_values"."score_avg_7d",
  "customer_payments_values"."score_count_7d",
  "customer_payments_values"."count_30d",
  "customer_payments_values"."paid_sum_1d"
FROM "spine"
LEFT JOIN "customer_payments_values"
  ON "customer_payments_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
