{#-
  A value in a type that has null, so that a row that matches nothing in an outer join has null. ClickHouse alone fills in zeros and empty
  texts where a type has none; its lists and maps can never be null.
-#}
{% macro nullable(expression, data_type) -%}
  {{ return(adapter.dispatch('nullable', 'featurestore')(expression, data_type | lower)) }}
{%- endmacro %}

{% macro default__nullable(expression, data_type) -%}
  {{ return(expression) }}
{%- endmacro %}

{% macro clickhouse__nullable(expression, data_type) -%}
  {{ return(expression if modules.re.match('(array|map|tuple|nested|variant|dynamic|json)', data_type) else 'toNullable(' ~ expression ~ ')') }}
{%- endmacro %}
