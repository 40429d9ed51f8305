{#-
  The columns of a model, [{name, data_type}]: those of its table where there is one, else as far as its files declare them.

  An enforced contract that types every column says everything, and its order is the columns' order.
-#}
{% macro _columns_of_node(node, relation) -%}
  {%- set found = featurestore._columns_of_relation(relation) -%}
  {%- set declared = [] -%}
  {%- for column in (node.get('columns') or {}).values() -%}
    {%- do declared.append({'name': column.name, 'data_type': column.get('data_type') or ''}) -%}
  {%- endfor -%}
  {%- if not found -%}
    {{ return(declared) }}
  {%- endif -%}
  {%- if not (node.get('contract') or {}).get('enforced') or declared | selectattr('data_type', 'equalto', '') | list -%}
    {{ return(found) }}
  {%- endif -%}
  {%- set in_order = [] -%}
  {%- for column in declared -%}
    {%- do in_order.append(featurestore._column_named(column.name, found) or column) -%}
  {%- endfor -%}
  {{ return(in_order) }}
{%- endmacro %}


{#- The columns that the warehouse has for a relation, [{name, data_type}]; none where it is not built yet, or is no relation but a CTE. -#}
{% macro _columns_of_relation(relation) -%}
  {%- set columns = [] -%}
  {%- set built = adapter.get_relation(relation.database, relation.schema, relation.identifier) if relation.schema else none -%}
  {%- if built -%}
    {%- for column in adapter.get_columns_in_relation(built) -%}
      {%- do columns.append({'name': column.name, 'data_type': featurestore._plain_type(column.data_type)}) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(columns) }}
{%- endmacro %}


{#- A type without what ClickHouse wraps around it: `Nullable(String)` is a `String`. -#}
{% macro _plain_type(data_type) -%}
  {%- set wrapped = modules.re.match('(?i)^(?:nullable|lowcardinality)\\((.*)\\)$', data_type or '') -%}
  {{ return(featurestore._plain_type(wrapped.group(1)) if wrapped else (data_type or '')) }}
{%- endmacro %}


{#- The graph's entry of the model or source that a relation of this model's SQL stands for; empty where there is none. -#}
{% macro _node_behind(relation) -%}
  {%- set identifier = modules.re.sub('^__dbt__cte__', '', relation.identifier) | lower -%}
  {%- for unique_id in model.depends_on.nodes -%}
    {%- set node = graph.nodes.get(unique_id) or graph.sources.get(unique_id) or {} -%}
    {%- if (node.get('alias') or node.get('identifier') or '') | lower == identifier -%}
      {{ return(node) }}
    {%- endif -%}
  {%- endfor -%}
  {{ return({}) }}
{%- endmacro %}


{#- The column of that name, or none. Its case matters only where two columns differ by nothing else. -#}
{% macro _column_named(name, columns) -%}
  {%- set spelled = featurestore._spelled(name, columns | map(attribute='name') | list) -%}
  {{ return(columns | selectattr('name', 'equalto', spelled) | first if spelled else none) }}
{%- endmacro %}
