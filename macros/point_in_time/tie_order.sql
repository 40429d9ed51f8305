{#- A descending order in which null comes last, whatever the warehouse does unasked. -#}
{% macro _greatest_first(expression) -%}
  {{ return(adapter.dispatch('greatest_first', 'featurestore')(expression)) }}
{%- endmacro %}

{% macro default__greatest_first(expression) -%}
  {{ return(expression ~ ' desc nulls last') }}
{%- endmacro %}


{#- What a feature's values are ordered by where rows tie: several expressions where one does not order them as everywhere else. -#}
{% macro _tie_values(expression, data_type) -%}
  {{ return(adapter.dispatch('tie_values', 'featurestore')(expression, data_type | lower)) }}
{%- endmacro %}

{% macro default__tie_values(expression, data_type) -%}
  {{ return([expression]) }}
{%- endmacro %}
