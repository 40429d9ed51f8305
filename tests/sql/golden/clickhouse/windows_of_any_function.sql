WITH "spine" AS (
  SELECT
    CAST(ROW_NUMBER() OVER (
      ORDER BY "customer_id" ASC NULLS FIRST, "shop" ASC NULLS FIRST, "event_timestamp" ASC NULLS FIRST, "label" ASC NULLS FIRST
    ) AS Nullable(Int64)) AS "row_number",
    "customer_id",
    "shop",
    "event_timestamp",
    "label"
  FROM "shop"."ml"."labels"
), "asked" AS (
  SELECT
    "row_number",
    CAST("event_timestamp" AS Nullable(DateTime64(6, 'UTC'))) AS "asked_at",
    "customer_id",
    CAST("shop" AS Nullable(String)) AS "shop"
  FROM "spine"
), "shop_payments_events" AS (
  SELECT
    "shop_payments"."customer_id" AS "customer_id",
    CAST("shop_payments"."shop" AS Nullable(String)) AS "shop",
    CAST("shop_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CASE
      WHEN CAST("shop_payments"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) > CAST("shop_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC')))
      THEN CAST("shop_payments"."loaded_at" AS Nullable(DateTime64(6, 'UTC')))
      ELSE CAST("shop_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC')))
    END AS "known_at",
    "shop_payments"."score" AS "score",
    CASE
      WHEN ABS("shop_payments"."score") < 4398046511104
      THEN CAST(CAST(accurateCastOrNull(FLOOR("shop_payments"."score" * CAST('2048.0' AS Nullable(Float64))), 'Int64') AS Nullable(Int128)) * CAST(9007199254740992 AS Nullable(Int128)) + CAST(accurateCastOrNull(
        FLOOR(
          (
            "shop_payments"."score" * CAST('2048.0' AS Nullable(Float64)) - FLOOR("shop_payments"."score" * CAST('2048.0' AS Nullable(Float64)))
          ) * CAST('9007199254740992.0' AS Nullable(Float64))
        ),
        'Int64'
      ) AS Nullable(Int128)) AS Nullable(Int128))
    END AS "score_units",
    CASE
      WHEN ABS("shop_payments"."score") < 4398046511104
      THEN 1
      WHEN NOT (
        "shop_payments"."score" IS NULL
      )
      THEN 4294967297
    END AS "score_tally",
    CASE
      WHEN NOT (
        "shop_payments"."score" IS NULL
      )
      THEN ROW_NUMBER() OVER (
        PARTITION BY "shop_payments"."customer_id", CAST("shop_payments"."shop" AS Nullable(String))
        ORDER BY CAST("shop_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) ASC NULLS FIRST, CAST("shop_payments"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) ASC NULLS FIRST, CASE WHEN isNaN("shop_payments"."score") THEN 1 ELSE 0 END ASC NULLS FIRST, "shop_payments"."score" ASC NULLS FIRST
      )
    END AS "score_version"
  FROM "shop"."features"."shop_payments"
  WHERE
    (
      NOT (
        "shop_payments"."customer_id" IS NULL
      )
      AND NOT (
        "shop_payments"."shop" IS NULL
      )
      AND NOT (
        "shop_payments"."paid_at" IS NULL
      )
    )
    AND CAST("shop_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC'))) > (
      SELECT
        MIN("asked_at")
      FROM "asked"
    ) - INTERVAL '7' DAY
    AND CASE
      WHEN CAST("shop_payments"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) > CAST("shop_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC')))
      THEN CAST("shop_payments"."loaded_at" AS Nullable(DateTime64(6, 'UTC')))
      ELSE CAST("shop_payments"."paid_at" AS Nullable(DateTime64(6, 'UTC')))
    END <= (
      SELECT
        MAX("asked_at")
      FROM "asked"
    )
), "shop_payments_windows" AS (
  SELECT
    "asked"."row_number" AS "row_number",
    "asked"."customer_id" AS "customer_id",
    "asked"."shop" AS "shop",
    MAX("shop_payments_events"."event_timestamp") AS "event_timestamp",
    SUM("shop_payments_events"."score_units") AS "score_units_sum_7d",
    SUM("shop_payments_events"."score_tally") AS "score_tally_sum_7d",
    MIN("shop_payments_events"."score") AS "score_min_7d",
    MAX("shop_payments_events"."score") AS "score_max_7d",
    COUNT(DISTINCT "shop_payments_events"."score") AS "score_count_distinct_7d",
    MAX("shop_payments_events"."score_version") AS "score_version_max_7d"
  FROM "asked"
  INNER JOIN "shop_payments_events"
    ON "asked"."customer_id" = "shop_payments_events"."customer_id"
    AND "asked"."shop" = "shop_payments_events"."shop"
    AND "shop_payments_events"."known_at" <= "asked"."asked_at"
    AND "shop_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '7' DAY
  GROUP BY
    "asked"."row_number",
    "asked"."customer_id",
    "asked"."shop"
), "shop_payments_means" AS (
  SELECT
    "row_number",
    CASE
      WHEN "score_tally_sum_7d" >= 4294967296
      THEN CAST('NaN' AS Nullable(Float64))
      ELSE CAST("score_units_sum_7d" AS Nullable(Float64)) / CAST('1.8446744073709552e+19' AS Nullable(Float64)) / CAST("score_tally_sum_7d" % 4294967296 AS Nullable(Float64))
    END AS "score_mean_7d",
    CASE
      WHEN "score_tally_sum_7d" < 4294967296
      THEN CAST("score_max_7d" AS Nullable(Float64)) - CAST("score_min_7d" AS Nullable(Float64))
    END AS "score_extent_7d"
  FROM "shop_payments_windows"
), "shop_payments_deviations" AS (
  SELECT
    "asked"."row_number" AS "row_number",
    SUM(
      CAST(accurateCastOrNull(
        FLOOR(
          (
            (
              CAST("shop_payments_events"."score" AS Nullable(Float64)) - "shop_payments_means"."score_mean_7d"
            ) / nullIf("shop_payments_means"."score_extent_7d", CAST('0.0' AS Nullable(Float64)))
          ) * (
            (
              CAST("shop_payments_events"."score" AS Nullable(Float64)) - "shop_payments_means"."score_mean_7d"
            ) / nullIf("shop_payments_means"."score_extent_7d", CAST('0.0' AS Nullable(Float64)))
          ) * CAST('1.152921504606847e+18' AS Nullable(Float64))
        ),
        'Int64'
      ) AS Nullable(Int128))
    ) AS "score_deviation_7d"
  FROM "asked"
  INNER JOIN "shop_payments_means"
    ON "shop_payments_means"."row_number" = "asked"."row_number"
  INNER JOIN "shop_payments_events"
    ON "asked"."customer_id" = "shop_payments_events"."customer_id"
    AND "asked"."shop" = "shop_payments_events"."shop"
    AND "shop_payments_events"."known_at" <= "asked"."asked_at"
    AND "shop_payments_events"."event_timestamp" > "asked"."asked_at" - INTERVAL '7' DAY
  GROUP BY
    "asked"."row_number"
), "shop_payments_values" AS (
  SELECT
    "shop_payments_windows"."row_number" AS "row_number",
    CASE
      WHEN COALESCE("score_tally_sum_7d" % 4294967296, 0) > 1
      THEN CASE
        WHEN "score_tally_sum_7d" >= 4294967296
        THEN CAST('NaN' AS Nullable(Float64))
        ELSE (
          CASE
            WHEN "score_tally_sum_7d" < 4294967296
            THEN CAST("score_max_7d" AS Nullable(Float64)) - CAST("score_min_7d" AS Nullable(Float64))
          END
        ) * SQRT(
          COALESCE(CAST("score_deviation_7d" AS Nullable(Float64)), CAST('0.0' AS Nullable(Float64))) / CAST('1.152921504606847e+18' AS Nullable(Float64)) / (
            CAST(COALESCE("score_tally_sum_7d" % 4294967296, 0) AS Nullable(Float64)) - CAST('1.0' AS Nullable(Float64))
          )
        )
      END
    END AS "score_stddev_7d",
    CAST("score_count_distinct_7d" AS Nullable(Int64)) AS "score_count_distinct_7d",
    "last_score_7d"."score" AS "score_last_7d"
  FROM "shop_payments_windows"
  LEFT JOIN "shop_payments_deviations"
    ON "shop_payments_windows"."row_number" = "shop_payments_deviations"."row_number"
  LEFT JOIN "shop_payments_events" AS "last_score_7d"
    ON "shop_payments_windows"."customer_id" = "last_score_7d"."customer_id"
    AND "shop_payments_windows"."shop" = "last_score_7d"."shop"
    AND "last_score_7d"."score_version" = "shop_payments_windows"."score_version_max_7d"
  WHERE
    NOT (
      "shop_payments_windows"."event_timestamp" IS NULL
    )
)
SELECT
  "spine"."customer_id" AS "customer_id",
  "spine"."shop" AS "shop",
  "spine"."event_timestamp" AS "event_timestamp",
  "spine"."label" AS "label",
  "shop_payments_values"."score_stddev_7d" AS "score_stddev_7d",
  "shop_payments_values"."score_count_distinct_7d" AS "score_count_distinct_7d",
  "shop_payments_values"."score_last_7d" AS "score_last_7d"
FROM "spine"
LEFT JOIN "shop_payments_values"
  ON "shop_payments_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
