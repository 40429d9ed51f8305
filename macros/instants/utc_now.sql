{#- The current instant in UTC: a timestamp without zone, except on Spark, where the type called `timestamp` is the instant itself. -#}
{% macro utc_now() -%}
  {{ return(adapter.dispatch('utc_now', 'featurestore')()) }}
{%- endmacro %}

{% macro default__utc_now() -%}
  cast({{ dbt.current_timestamp() }} at time zone 'UTC' as timestamp)
{%- endmacro %}

{% macro spark__utc_now() -%}
  current_timestamp()
{%- endmacro %}

{% macro clickhouse__utc_now() -%}
  now64(6, 'UTC')
{%- endmacro %}
