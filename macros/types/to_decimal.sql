{#- A number of any kind as a decimal, rounded to the nearest, halves away from zero. A cast does that, except where it cuts digits off. -#}
{% macro to_decimal(value, precision, scale) -%}
  {{ return(adapter.dispatch('to_decimal', 'featurestore')(value, precision, scale)) }}
{%- endmacro %}

{% macro default__to_decimal(value, precision, scale) -%}
  cast({{ value }} as decimal({{ precision }}, {{ scale }}))
{%- endmacro %}

{#- The digits that are kept become an integer first: a float next below a decimal would lose its last digit. -#}
{% macro clickhouse__to_decimal(value, precision, scale) -%}
  {%- set units = 10 ** scale -%}
  cast(
    cast(toInt64(sign({{ value }}) * floor(abs({{ value }}) * {{ units }} + 0.5)) as Nullable(Decimal(18, {{ scale }}))) / {{ units }}
    as Nullable(Decimal({{ precision }}, {{ scale }}))
  )
{%- endmacro %}
