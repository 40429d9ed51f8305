INSERT INTO "entity_df" (
  "row_number",
  "shop",
  "event_timestamp",
  "day",
  "flag",
  "score",
  "price",
  "token"
)
VALUES
  (
    1,
    'it''s é \',
    CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP),
    CAST('2024-03-01' AS DATE),
    TRUE,
    CAST(0.1 AS DOUBLE PRECISION),
    CAST('1.50' AS DECIMAL(10, 2)),
    CAST('\x0027' AS BYTEA)
  ),
  (
    CAST(NULL AS BIGINT),
    CAST(NULL AS TEXT),
    CAST(NULL AS TIMESTAMP),
    CAST(NULL AS DATE),
    CAST(NULL AS BOOLEAN),
    CAST(NULL AS DOUBLE PRECISION),
    CAST(NULL AS DECIMAL(10, 2)),
    CAST(NULL AS BYTEA)
  )
