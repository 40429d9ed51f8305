CREATE TABLE [#entity_df] (
  [row_number] BIGINT,
  [shop] VARCHAR(8000),
  [event_timestamp] DATETIME2(6),
  [day] DATE,
  [flag] BIT,
  [score] FLOAT,
  [price] DECIMAL(10, 2),
  [token] VARBINARY(8000)
)
