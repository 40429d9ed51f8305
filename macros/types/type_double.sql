{#- The name of floating point numbers of 64 bits; dbt's own `type_float` means 32 bits on some warehouses. -#}
{% macro type_double() -%}
  {{ return(adapter.dispatch('type_double', 'featurestore')()) }}
{%- endmacro %}

{% macro default__type_double() -%}
  {{ return('double precision') }}
{%- endmacro %}

{% macro spark__type_double() -%}
  {{ return('double') }}
{%- endmacro %}

{% macro trino__type_double() -%}
  {{ return('double') }}
{%- endmacro %}

{% macro bigquery__type_double() -%}
  {{ return('float64') }}
{%- endmacro %}

{% macro clickhouse__type_double() -%}
  {{ return('Nullable(Float64)') }}
{%- endmacro %}
