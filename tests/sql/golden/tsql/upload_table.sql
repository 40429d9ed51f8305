CREATE TABLE [#entity_df] (
  [row_number] BIGINT,
  [shop] NVARCHAR(MAX),
  [event_timestamp] DATETIME2(6),
  [day] DATE,
  [flag] BIT,
  [score] FLOAT,
  [price] NUMERIC(10, 2),
  [token] VARBINARY(MAX)
)
