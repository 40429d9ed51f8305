{#- What a clock in `zone` shows at a UTC instant. Both arguments are SQL expressions. -#}
{% macro local_time(instant, zone) -%}
  {{ return(adapter.dispatch('local_time', 'featurestore')(instant, zone)) }}
{%- endmacro %}

{% macro default__local_time(instant, zone) -%}
  (({{ instant }}) at time zone 'UTC' at time zone {{ zone }})
{%- endmacro %}

{% macro spark__local_time(instant, zone) -%}
  from_utc_timestamp({{ instant }}, {{ zone }})
{%- endmacro %}

{#- There, a zone is part of a column's type, and only as text can each row be in a zone of its own. -#}
{% macro clickhouse__local_time(instant, zone) -%}
  toDateTime64(toString({{ instant }}, {{ zone }}), 6, 'UTC')
{%- endmacro %}
