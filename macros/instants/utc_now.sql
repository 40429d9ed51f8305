{#- The current instant as a timestamp without zone, in UTC. -#}
{% macro utc_now() -%}
  {{ return(adapter.dispatch('utc_now', 'featurestore')()) }}
{%- endmacro %}

{% macro default__utc_now() -%}
  cast({{ dbt.current_timestamp() }} at time zone 'UTC' as timestamp)
{%- endmacro %}
