INSERT INTO [#entity_df] (
  [row_number],
  [shop],
  [event_timestamp],
  [day],
  [flag],
  [score],
  [price],
  [token]
)
VALUES
  (
    1,
    N'it''s é \',
    CAST('2024-03-01 12:30:00.000000' AS DATETIME2(6)),
    CAST('2024-03-01' AS DATE),
    1,
    CAST(0.1 AS FLOAT),
    CAST('1.50' AS NUMERIC(10, 2)),
    0x0027
  ),
  (
    CAST(NULL AS BIGINT),
    CAST(NULL AS NVARCHAR(MAX)),
    CAST(NULL AS DATETIME2(6)),
    CAST(NULL AS DATE),
    CAST(NULL AS BIT),
    CAST(NULL AS FLOAT),
    CAST(NULL AS NUMERIC(10, 2)),
    CAST(NULL AS VARBINARY(MAX))
  )
