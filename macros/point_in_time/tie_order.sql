{#- A descending order in which null comes last, whatever the warehouse does unasked. -#}
{% macro _greatest_first(expression) -%}
  {{ return(adapter.dispatch('greatest_first', 'featurestore')(expression)) }}
{%- endmacro %}

{% macro default__greatest_first(expression) -%}
  {{ return(expression ~ ' desc nulls last') }}
{%- endmacro %}

{#- T-SQL has no words for it and does it unasked. -#}
{% macro sqlserver__greatest_first(expression) -%}
  {{ return(expression ~ ' desc') }}
{%- endmacro %}

{% macro fabric__greatest_first(expression) -%}
  {{ return(expression ~ ' desc') }}
{%- endmacro %}


{#- What a feature's values are ordered by where rows tie: several expressions where one does not order them as everywhere else. -#}
{% macro _tie_values(expression, data_type) -%}
  {%- if featurestore._counts_as_text(data_type) or featurestore._is_text(data_type) -%}
    {{ return([featurestore._text_in_order(expression, data_type)]) }}
  {%- endif -%}
  {{ return(adapter.dispatch('tie_values', 'featurestore')(expression, data_type | lower)) }}
{%- endmacro %}

{% macro default__tie_values(expression, data_type) -%}
  {{ return([expression]) }}
{%- endmacro %}

{#- Maps have no order there. -#}
{% macro spark__tie_values(expression, data_type) -%}
  {{ return(['to_json(' ~ expression ~ ')' if modules.re.match('(array|struct|map)', data_type) else expression]) }}
{%- endmacro %}

{#- Lists and structs have no order there, and not-a-number stands below every number. -#}
{% macro bigquery__tie_values(expression, data_type) -%}
  {%- if modules.re.match('(array|struct)', data_type) -%}
    {{ return(['to_json_string(' ~ expression ~ ')']) }}
  {%- elif data_type.startswith('float') -%}
    {{ return(['case when is_nan(' ~ expression ~ ') then 1 else 0 end', expression]) }}
  {%- endif -%}
  {{ return([expression]) }}
{%- endmacro %}

{#- Not-a-number stands with the nulls there. -#}
{% macro clickhouse__tie_values(expression, data_type) -%}
  {{ return(['case when isNaN(' ~ expression ~ ') then 1 else 0 end', expression] if data_type.startswith('float') else [expression]) }}
{%- endmacro %}

{% macro trino__tie_values(expression, data_type) -%}
  {{ return(['json_format(cast(' ~ expression ~ ' as json))' if modules.re.match('(array|row|map)', data_type) else expression]) }}
{%- endmacro %}

{% macro athena__tie_values(expression, data_type) -%}
  {{ return(featurestore.trino__tie_values(expression, data_type)) }}
{%- endmacro %}
