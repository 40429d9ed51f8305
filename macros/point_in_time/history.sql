{#- The names that the query of one view uses, so that they meet no column of the view or of the spine. -#}
{% macro _name_parts(view, number, views, asked) -%}
  {%- set taken = (view.columns + asked.columns + view.features) | map(attribute='name') | map('lower') | list -%}
  {%- set names = {} -%}
  {%- for name in ['asked_at', 'happened_at', 'written_at', 'known_at', 'ends_at', 'is_asked', 'newest', 'place'] -%}
    {%- do names.update({name: featurestore._quoted(featurestore._unused(name, taken))}) -%}
  {%- endfor -%}
  {%- set prefix = modules.re.sub('\\W', '_', view.name) -%}
  {%- set before = views[:number - 1] | map(attribute='prefix') | map('lower') | list -%}
  {%- do view.update({'prefix': featurestore._unused(prefix, before), 'names': names}) -%}
  {%- set ctes = {} -%}
  {%- for part in [
    'asked', 'known', 'timeline', 'seen', 'found', 'history', 'answer', 'events', 'windows', 'means', 'deviations'
  ] -%}
    {%- do ctes.update({part: featurestore._quoted(view.prefix ~ '_' ~ part)}) -%}
  {%- endfor -%}
  {%- do view.update({'ctes': ctes}) -%}
{%- endmacro %}


{#- The column of the spine of that name. -#}
{% macro _spine_column(asked, name, why) -%}
  {%- set column = featurestore._column_named(name, asked.columns) -%}
  {%- if not column and asked.columns -%}
    {{ featurestore._refuse(
      "The spine " ~ asked.name ~ " has no column '" ~ name ~ "'. " ~ why
      ~ featurestore._did_you_mean(name, asked.columns | map(attribute='name') | list)
    ) }}
  {%- endif -%}
  {%- set column = column or {'name': name, 'data_type': ''} -%}
  {{ return({'name': column.name, 'data_type': column.data_type, 'quoted': featurestore._quoted(column.name)}) }}
{%- endmacro %}


{#- The instant that a row of the spine asks about. -#}
{% macro _spine_instant(asked, of) -%}
  {{ return(featurestore.as_utc(of ~ '.' ~ asked.timestamp.quoted, asked.timestamp.data_type)) }}
{%- endmacro %}


{#- A join key of the spine, as it is compared with the view's. -#}
{% macro _spine_key(asked, key, of) -%}
  {%- set column = featurestore._column_named(key.name, asked.columns) or {'name': key.name, 'data_type': ''} -%}
  {{ return(featurestore._key_value(of ~ '.' ~ featurestore._quoted(column.name), column.data_type)) }}
{%- endmacro %}


{#- A join key as it is compared: what counts as text (a UUID, an enumeration) as text. -#}
{% macro _key_value(expression, data_type) -%}
  {{ return(featurestore._text_of(expression, data_type) if featurestore._counts_as_text(data_type) else expression) }}
{%- endmacro %}


{#- What tells the asked instants of a view apart, as columns of one of its CTEs. -#}
{% macro _own_columns(view, of) -%}
  {%- set columns = [] -%}
  {%- for key in view.join_keys -%}
    {%- do columns.append(of ~ '.' ~ key.quoted) -%}
  {%- endfor -%}
  {{ return(columns + [of ~ '.' ~ view.names.asked_at]) }}
{%- endmacro %}


{#- The same as they are selected. Where two sides of a join have a column, ClickHouse calls it `side.column` unless told otherwise. -#}
{% macro _kept_columns(view, of) -%}
  {%- set columns = [] -%}
  {%- for key in view.join_keys -%}
    {%- do columns.append(of ~ '.' ~ key.quoted ~ ' as ' ~ key.quoted) -%}
  {%- endfor -%}
  {{ return(columns + [of ~ '.' ~ view.names.asked_at ~ ' as ' ~ view.names.asked_at]) }}
{%- endmacro %}
