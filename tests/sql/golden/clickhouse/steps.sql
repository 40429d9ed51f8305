WITH "recent" AS (
  SELECT
    "customer_payments"."customer_id" AS "customer_id",
    CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) + INTERVAL '1' HOUR AS "known_at"
  FROM "shop"."features"."customer_payments"
  WHERE
    (
      NOT (
        "customer_payments"."customer_id" IS NULL
      )
      AND NOT (
        "customer_payments"."paid_at" IS NULL
      )
    )
    AND CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) > CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC'))) - INTERVAL '30' DAY
    AND CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) + INTERVAL '1' HOUR <= CAST('2024-03-02 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
), "changes" AS (
  SELECT
    "customer_id",
    CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC'))) AS "instant"
  FROM "recent"
  UNION DISTINCT
  SELECT
    "customer_id",
    "known_at" AS "instant"
  FROM "recent"
  WHERE
    "known_at" > CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
    AND "known_at" <= CAST('2024-03-02 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
  UNION DISTINCT
  SELECT
    "customer_id",
    "event_timestamp" + INTERVAL '1' DAY AS "instant"
  FROM "recent"
  WHERE
    "event_timestamp" + INTERVAL '1' DAY > CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
    AND "event_timestamp" + INTERVAL '1' DAY <= CAST('2024-03-02 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
  UNION DISTINCT
  SELECT
    "customer_id",
    "event_timestamp" + INTERVAL '7' DAY AS "instant"
  FROM "recent"
  WHERE
    "event_timestamp" + INTERVAL '7' DAY > CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
    AND "event_timestamp" + INTERVAL '7' DAY <= CAST('2024-03-02 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
  UNION DISTINCT
  SELECT
    "customer_id",
    "event_timestamp" + INTERVAL '30' DAY AS "instant"
  FROM "recent"
  WHERE
    "event_timestamp" + INTERVAL '30' DAY > CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
    AND "event_timestamp" + INTERVAL '30' DAY <= CAST('2024-03-02 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
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
    CAST("instant" AS Nullable(DateTime64(6, 'UTC'))) AS "asked_at",
    "customer_id"
  FROM "spine"
), "customer_payments_events" AS (
  SELECT
    "customer_payments"."customer_id" AS "customer_id",
    CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) + INTERVAL '1' HOUR AS "known_at",
    "customer_payments"."paid_at" AS "paid_at",
    "customer_payments"."amount" AS "amount",
    CASE
      WHEN NOT (
        "customer_payments"."amount" IS NULL
      )
      THEN ROW_NUMBER() OVER (
        PARTITION BY "customer_payments"."customer_id"
        ORDER BY CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) ASC NULLS FIRST, CAST("customer_payments"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) ASC NULLS FIRST, "customer_payments"."amount" ASC NULLS FIRST
      )
    END AS "amount_version",
    CASE
      WHEN ABS("customer_payments"."score") < 4398046511104
      THEN CAST(CAST(accurateCastOrNull(FLOOR("customer_payments"."score" * CAST('2048.0' AS Nullable(Float64))), 'Int64') AS Nullable(Int128)) * CAST(9007199254740992 AS Nullable(Int128)) + CAST(accurateCastOrNull(
        FLOOR(
          (
            "customer_payments"."score" * CAST('2048.0' AS Nullable(Float64)) - FLOOR("customer_payments"."score" * CAST('2048.0' AS Nullable(Float64)))
          ) * CAST('9007199254740992.0' AS Nullable(Float64))
        ),
        'Int64'
      ) AS Nullable(Int128)) AS Nullable(Int128))
    END AS "score_units",
    CASE
      WHEN ABS("customer_payments"."score") < 4398046511104
      THEN 1
      WHEN NOT (
        "customer_payments"."score" IS NULL
      )
      THEN 4294967297
    END AS "score_tally",
    1 AS "event",
    CASE WHEN "customer_payments".status = 'paid' THEN "customer_payments"."amount" END AS "paid"
  FROM "shop"."features"."customer_payments"
  WHERE
    (
      NOT (
        "customer_payments"."customer_id" IS NULL
      )
      AND NOT (
        "customer_payments"."paid_at" IS NULL
      )
    )
    AND CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) > CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC'))) - INTERVAL '30' DAY
    AND CAST("customer_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) + INTERVAL '1' HOUR <= CAST('2024-03-02 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
), "customer_payments_windows" AS (
  SELECT
    "asked"."row_number" AS "row_number",
    "asked"."customer_id" AS "customer_id",
    MAX("customer_payments_events"."event_timestamp") AS "event_timestamp",
    MAX("customer_payments_events"."paid_at") AS "paid_at_max_30d",
    SUM(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '1' DAY
        THEN "customer_payments_events"."amount"
      END
    ) AS "amount_sum_1d",
    SUM(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '7' DAY
        THEN "customer_payments_events"."amount"
      END
    ) AS "amount_sum_7d",
    MAX(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '1' DAY
        THEN "customer_payments_events"."amount"
      END
    ) AS "amount_max_1d",
    MAX(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '7' DAY
        THEN "customer_payments_events"."amount"
      END
    ) AS "amount_max_7d",
    MAX(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '1' DAY
        THEN "customer_payments_events"."amount_version"
      END
    ) AS "amount_version_max_1d",
    MAX(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '7' DAY
        THEN "customer_payments_events"."amount_version"
      END
    ) AS "amount_version_max_7d",
    SUM(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '7' DAY
        THEN "customer_payments_events"."score_units"
      END
    ) AS "score_units_sum_7d",
    SUM(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '7' DAY
        THEN "customer_payments_events"."score_tally"
      END
    ) AS "score_tally_sum_7d",
    COUNT("customer_payments_events"."event") AS "event_count_30d",
    SUM(
      CASE
        WHEN "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '1' DAY
        THEN "customer_payments_events"."paid"
      END
    ) AS "paid_sum_1d"
  FROM "asked"
  INNER JOIN "customer_payments_events"
    ON "asked"."customer_id" = "customer_payments_events"."customer_id"
    AND "customer_payments_events"."known_at" <= "asked"."asked_at"
    AND "customer_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '30' DAY
  GROUP BY
    "asked"."row_number",
    "asked"."customer_id"
), "customer_payments_values" AS (
  SELECT
    "customer_payments_windows"."row_number" AS "row_number",
    "paid_at_max_30d" AS "newest_event",
    CAST("amount_sum_1d" AS Nullable(Decimal(38, 2))) AS "amount_sum_1d",
    CAST("amount_sum_7d" AS Nullable(Decimal(38, 2))) AS "amount_sum_7d",
    "amount_max_1d",
    "amount_max_7d",
    "last_amount_1d"."amount" AS "amount_last_1d",
    "last_amount_7d"."amount" AS "amount_last_7d",
    CASE
      WHEN "score_tally_sum_7d" >= 4294967296
      THEN CAST('NaN' AS Nullable(Float64))
      ELSE CAST("score_units_sum_7d" AS Nullable(Float64)) / CAST('1.8446744073709552e+19' AS Nullable(Float64))
    END AS "score_sum_7d",
    CASE
      WHEN "score_tally_sum_7d" >= 4294967296
      THEN CAST('NaN' AS Nullable(Float64))
      ELSE CAST("score_units_sum_7d" AS Nullable(Float64)) / CAST('1.8446744073709552e+19' AS Nullable(Float64)) / CAST("score_tally_sum_7d" % 4294967296 AS Nullable(Float64))
    END AS "score_avg_7d",
    CAST(COALESCE("score_tally_sum_7d" % 4294967296, 0) AS Nullable(Int64)) AS "score_count_7d",
    CAST("event_count_30d" AS Nullable(Int64)) AS "count_30d",
    CAST("paid_sum_1d" AS Nullable(Decimal(38, 2))) AS "paid_sum_1d"
  FROM "customer_payments_windows"
  LEFT JOIN "customer_payments_events" AS "last_amount_1d"
    ON "customer_payments_windows"."customer_id" = "last_amount_1d"."customer_id"
    AND "last_amount_1d"."amount_version" = "customer_payments_windows"."amount_version_max_1d"
  LEFT JOIN "customer_payments_events" AS "last_amount_7d"
    ON "customer_payments_windows"."customer_id" = "last_amount_7d"."customer_id"
    AND "last_amount_7d"."amount_version" = "customer_payments_windows"."amount_version_max_7d"
  WHERE
    NOT (
      "customer_payments_windows"."event_timestamp" IS NULL
    )
)
SELECT
  "spine"."customer_id" AS "customer_id",
  "spine"."instant" AS "instant",
  "customer_payments_values"."newest_event" AS "newest_event",
  "customer_payments_values"."amount_sum_1d" AS "amount_sum_1d",
  "customer_payments_values"."amount_sum_7d" AS "amount_sum_7d",
  "customer_payments_values"."amount_max_1d" AS "amount_max_1d",
  "customer_payments_values"."amount_max_7d" AS "amount_max_7d",
  "customer_payments_values"."amount_last_1d" AS "amount_last_1d",
  "customer_payments_values"."amount_last_7d" AS "amount_last_7d",
  "customer_payments_values"."score_sum_7d" AS "score_sum_7d",
  "customer_payments_values"."score_avg_7d" AS "score_avg_7d",
  "customer_payments_values"."score_count_7d" AS "score_count_7d",
  "customer_payments_values"."count_30d" AS "count_30d",
  "customer_payments_values"."paid_sum_1d" AS "paid_sum_1d"
FROM "spine"
LEFT JOIN "customer_payments_values"
  ON "customer_payments_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
