{#- Whether values of that type are text in a feature store and something else in the warehouse: a UUID, an enumeration, JSON. -#}
{% macro _counts_as_text(data_type) -%}
  {{ return(modules.re.match('(uuid|uniqueidentifier|enum|user-defined|json)', data_type | lower) is not none) }}
{%- endmacro %}


{% macro _is_text(data_type) -%}
  {{ return(modules.re.match('n?(var)?char|n?text|string|bpchar|character|name$', data_type | lower) is not none and ']' not in data_type) }}
{%- endmacro %}


{#- A value as text that is told apart by its code points. -#}
{% macro _text_of(expression, data_type) -%}
  {{ return(adapter.dispatch('text_of', 'featurestore')(expression, data_type)) }}
{%- endmacro %}

{% macro default__text_of(expression, data_type) -%}
  {{ return('cast(' ~ expression ~ ' as ' ~ api.Column.translate_type('string') ~ ')') }}
{%- endmacro %}

{% macro bigquery__text_of(expression, data_type) -%}
  {{ return('to_json_string(' ~ expression ~ ')' if data_type | lower == 'json' else 'cast(' ~ expression ~ ' as string)') }}
{%- endmacro %}

{% macro clickhouse__text_of(expression, data_type) -%}
  {{ return('cast(' ~ expression ~ ' as Nullable(String))') }}
{%- endmacro %}

{% macro sqlserver__text_of(expression, data_type) -%}
  {{ return('cast(' ~ expression ~ ' as nvarchar(max)) collate Latin1_General_BIN2') }}
{%- endmacro %}

{% macro fabric__text_of(expression, data_type) -%}
  {{ return('cast(' ~ expression ~ ' as varchar(8000)) collate Latin1_General_100_BIN2_UTF8') }}
{%- endmacro %}


{#- The same as it is ordered: by code points, whatever collation the database has. -#}
{% macro _text_in_order(expression, data_type) -%}
  {{ return(adapter.dispatch('text_in_order', 'featurestore')(expression, data_type)) }}
{%- endmacro %}

{% macro default__text_in_order(expression, data_type) -%}
  {{ return(featurestore._text_of(expression, data_type)) }}
{%- endmacro %}

{% macro postgres__text_in_order(expression, data_type) -%}
  {{ return(featurestore._text_of(expression, data_type) ~ ' collate "C"') }}
{%- endmacro %}

{#- Redshift orders text by its bytes, and takes no word about it. -#}
{% macro redshift__text_in_order(expression, data_type) -%}
  {{ return(featurestore._text_of(expression, data_type)) }}
{%- endmacro %}
