{#-
  A column as a timestamp without zone, in UTC: zoned values are converted, others read as UTC, dates as midnight.

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
