INSERT INTO `entity_df` (
  `row_number`,
  `shop`,
  `event_timestamp`,
  `day`,
  `flag`,
  `score`,
  `price`,
  `token`
)
VALUES
  (
    1,
    'it\'s é \\',
    CAST('2024-03-01 12:30:00.000000' AS DATETIME),
    CAST('2024-03-01' AS DATE),
    TRUE,
    CAST(0.1 AS FLOAT64),
    CAST('1.50' AS NUMERIC),
    FROM_HEX('0027')
  ),
  (
    CAST(NULL AS INT64),
    CAST(NULL AS STRING),
    CAST(NULL AS DATETIME),
    CAST(NULL AS DATE),
    CAST(NULL AS BOOL),
    CAST(NULL AS FLOAT64),
    CAST(NULL AS NUMERIC),
    CAST(NULL AS BYTES)
  )
