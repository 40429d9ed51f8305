{#-
  A column as an instant in UTC: zoned values are converted, others read as UTC, dates as midnight. A timestamp without zone, except on
  Spark, where the type called `timestamp` is the instant itself.

  Which it is, the warehouse says, so `relation` is the built model that has the column.
-#}
{% macro utc_instant(column, relation) -%}
  {{ return(adapter.dispatch('utc_instant', 'featurestore')(column, relation)) }}
{%- endmacro %}

{% macro default__utc_instant(column, relation) -%}
  {%- set found = namespace(type='') -%}
  {%- if execute and relation -%}
    {%- for candidate in adapter.get_columns_in_relation(relation) -%}
      {%- if candidate.name | lower == column | lower -%}
        {%- set found.type = candidate.data_type -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(featurestore.as_utc(column, found.type)) }}
{%- endmacro %}


{#- The same for an SQL expression, of the type that the warehouse or a model's `data_type` calls `data_type`. -#}
{% macro as_utc(expression, data_type) -%}
  {{ return(adapter.dispatch('as_utc', 'featurestore')(expression, data_type | lower)) }}
{%- endmacro %}

{% macro default__as_utc(expression, data_type) -%}
  {%- if 'with time zone' in data_type or 'timestamptz' in data_type -%}
    {{ return('(' ~ expression ~ " at time zone 'UTC')") }}
  {%- endif -%}
  {{ return('cast(' ~ expression ~ ' as timestamp)') }}
{%- endmacro %}

{#- DuckDB's own `at time zone` asks a calendar for each row, at twenty times the cost. -#}
{% macro duckdb__as_utc(expression, data_type) -%}
  {%- if 'with time zone' in data_type or 'timestamptz' in data_type -%}
    {{ return('make_timestamp(epoch_us(' ~ expression ~ '))') }}
  {%- endif -%}
  {{ return(featurestore.default__as_utc(expression, data_type)) }}
{%- endmacro %}

{#- A cast would read dates and values without zone in the session's zone, whatever that is. -#}
{% macro spark__as_utc(expression, data_type) -%}
  {%- if data_type == 'date' -%}
    {{ return('timestamp_seconds(unix_date(' ~ expression ~ ') * 86400L)') }}
  {%- elif data_type == 'timestamp_ntz' -%}
    {{ return("timestamp_micros(timestampdiff(microsecond, timestamp_ntz '1970-01-01 00:00:00', " ~ expression ~ '))') }}
  {%- elif data_type == 'timestamp' -%}
    {{ return(expression) }}
  {%- endif -%}
  {{ return('cast(' ~ expression ~ ' as timestamp_ltz)') }}
{%- endmacro %}

{% macro snowflake__as_utc(expression, data_type) -%}
  {%- if 'timestamp_tz' in data_type or 'timestamp_ltz' in data_type -%}
    {{ return("cast(convert_timezone('UTC', " ~ expression ~ ') as timestamp_ntz(6))') }}
  {%- endif -%}
  {{ return('cast(' ~ expression ~ ' as timestamp_ntz(6))') }}
{%- endmacro %}

{% macro bigquery__as_utc(expression, data_type) -%}
  {%- if data_type == 'timestamp' -%}
    {{ return('datetime(' ~ expression ~ ", 'UTC')") }}
  {%- endif -%}
  {{ return('cast(' ~ expression ~ ' as datetime)') }}
{%- endmacro %}

{% macro trino__as_utc(expression, data_type) -%}
  {%- if 'with time zone' in data_type -%}
    {{ return('cast(' ~ expression ~ " at time zone 'UTC' as timestamp(6))") }}
  {%- endif -%}
  {{ return('cast(' ~ expression ~ ' as timestamp(6))') }}
{%- endmacro %}

{% macro athena__as_utc(expression, data_type) -%}
  {{ return(featurestore.trino__as_utc(expression, data_type)) }}
{%- endmacro %}

{% macro fabric__as_utc(expression, data_type) -%}
  {%- if 'offset' in data_type -%}
    {{ return('cast(' ~ expression ~ " at time zone 'UTC' as datetime2(6))") }}
  {%- endif -%}
  {{ return('cast(' ~ expression ~ ' as datetime2(6))') }}
{%- endmacro %}

{% macro sqlserver__as_utc(expression, data_type) -%}
  {{ return(featurestore.fabric__as_utc(expression, data_type)) }}
{%- endmacro %}

{#- Every timestamp is an instant there, whatever zone it is shown in. -#}
{% macro clickhouse__as_utc(expression, data_type) -%}
  {{ return('cast(' ~ expression ~ " as Nullable(DateTime64(6, 'UTC')))") }}
{%- endmacro %}
