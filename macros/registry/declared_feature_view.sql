{#-
  What the model under test says about itself as a feature view, so that generic tests need no arguments. What is said nowhere is none,
  or an empty list.
-#}
{% macro declared_feature_view() -%}
  {{ return(featurestore._declared_by(featurestore._tested_node())) }}
{%- endmacro %}


{#-
  What a model or a snapshot, an entry of dbt's graph, says about itself as a feature view.

  The order is the same as everywhere: config.meta.feature_view first; then for the timestamp a snapshot's dbt_valid_from, config.event_time
  and dbt's semantic annotations, for the entity keys those annotations, and for the rest the project's
  `vars: {featurestore: {defaults: …}}`.
-#}
{% macro _declared_by(node) -%}
  {%- set config = node.get('config') or {} -%}
  {%- set meta = (config.get('meta') or node.get('meta') or {}).get('feature_view') -%}
  {%- set said = meta if meta is mapping else {} -%}
  {%- set defaults = (var('featurestore', {}) or {}).get('defaults') or {} -%}
  {%- set snapshot = featurestore._snapshot_columns(node) -%}
  {%- set ttl = said.get('ttl') if 'ttl' in said else defaults.get('ttl') -%}
  {%- set created = said.get('created_timestamp') -%}
  {{ return({
    'name': featurestore._view_name(node),
    'relation': featurestore._relation_of(node),
    'entity_keys': featurestore._entity_keys(said.get('entities') or said.get('entity')) or featurestore._semantic_entity_keys(node),
    'timestamp': (
      said.get('timestamp') or snapshot.get('dbt_valid_from') or config.get('event_time') or featurestore._semantic_timestamp(node)
    ),
    'created_timestamp': created,
    'ttl': none if ttl == 'none' else ttl,
    'available_after': said.get('available_after') or defaults.get('available_after'),
    'late_data': (said.get('late_data') or defaults.get('late_data') or 'as_event') if created else 'as_event',
    'features': said.get('features'),
    'aggregations': said.get('aggregations'),
    'on_demand': (((config.get('meta') or node.get('meta') or {}).get('on_demand') or {}).get('features') or {}).keys() | list,
    'valid_to': snapshot.get('dbt_valid_to'),
    'is_deleted': snapshot.get('dbt_is_deleted') if config.get('hard_deletes') == 'new_record' else none,
    'snapshot_columns': snapshot.values() | list,
  }) }}
{%- endmacro %}


{#- The graph's entry of the model that the running test is attached to; empty while dbt still parses. -#}
{% macro _tested_node() -%}
  {%- if execute and model and model.get('attached_node') -%}
    {{ return(graph.nodes.get(model.attached_node) or {}) }}
  {%- endif -%}
  {{ return({}) }}
{%- endmacro %}


{#- The model's name; a versioned model's is `name.v2`. -#}
{% macro _view_name(node) -%}
  {{ return(node.get('name') ~ '.v' ~ node.version if node.get('version') is not none else node.get('name')) }}
{%- endmacro %}


{#- What dbt calls its own columns in a snapshot; empty for a model. -#}
{% macro _snapshot_columns(node) -%}
  {%- set columns = {} -%}
  {%- if node.get('resource_type') == 'snapshot' -%}
    {%- set renamed = (node.get('config') or {}).get('snapshot_meta_column_names') or {} -%}
    {%- for name in ['dbt_valid_from', 'dbt_valid_to', 'dbt_scd_id', 'dbt_updated_at', 'dbt_is_deleted'] -%}
      {%- do columns.update({name: renamed.get(name) or name}) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(columns) }}
{%- endmacro %}


{% macro _relation_of(node) -%}
  {%- if node -%}
    {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) }}
  {%- endif -%}
  {{ return(none) }}
{%- endmacro %}


{#- The columns that identify a row, from `column` or `{name: column, other: [column, column]}`. -#}
{% macro _entity_keys(entities) -%}
  {%- set keys = [] -%}
  {%- if entities is mapping -%}
    {%- for columns in entities.values() -%}
      {%- do keys.extend([columns] if columns is string else columns) -%}
    {%- endfor -%}
  {%- elif entities -%}
    {%- do keys.append(entities) -%}
  {%- endif -%}
  {{ return(keys) }}
{%- endmacro %}


{#- The key of the entity that dbt's annotations say a row is about: the primary one, else natural, unique, or foreign. -#}
{% macro _semantic_entity_keys(node) -%}
  {%- set found = {} -%}
  {%- for column in (node.get('columns') or {}).values() -%}
    {%- if column.get('entity') is mapping -%}
      {%- do found.setdefault(column.entity.type, []).append(column.name) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for entity in featurestore._semantic_model(node).get('entities') or [] -%}
    {%- do found.setdefault(entity.type, []).append(entity.get('expr') or entity.name) -%}
  {%- endfor -%}
  {%- for kind in ['primary', 'natural', 'unique', 'foreign'] if found.get(kind) -%}
    {{ return((found[kind] | unique | list)[:1]) }}
  {%- endfor -%}
  {{ return([]) }}
{%- endmacro %}


{#- The column of the aggregation time dimension; dbt v2 writes only which columns are time dimensions. -#}
{% macro _semantic_timestamp(node) -%}
  {%- set semantic = featurestore._semantic_model(node) -%}
  {%- set wanted = node.get('agg_time_dimension') or (semantic.get('defaults') or {}).get('agg_time_dimension') -%}
  {%- for dimension in semantic.get('dimensions') or [] if wanted and dimension.name == wanted -%}
    {{ return(dimension.get('expr') or dimension.name) }}
  {%- endfor -%}
  {%- set times = [] -%}
  {%- for column in (node.get('columns') or {}).values() -%}
    {%- set dimension = column.get('dimension') -%}
    {%- if dimension is mapping and dimension.type == 'time' and (not wanted or dimension.get('name', column.name) == wanted) -%}
      {%- do times.append(column.name) -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(times[0] if times | length == 1 else wanted) }}
{%- endmacro %}


{#- The entry under `semantic_models` that stands on this model, or an empty one. -#}
{% macro _semantic_model(node) -%}
  {%- for semantic in (graph.get('semantic_models') or {}).values() if node and node.unique_id in semantic.depends_on.nodes -%}
    {{ return(semantic) }}
  {%- endfor -%}
  {{ return({}) }}
{%- endmacro %}


{% macro _missing_argument(view, test_name, argument, key) -%}
  {{ exceptions.raise_compiler_error(
    test_name ~ " on " ~ (view.name or 'this model') ~ " needs `" ~ argument ~ "`. Write `" ~ key ~ "` under config.meta.feature_view"
    ~ " of the model, or `arguments: {" ~ argument ~ ": …}` under the test."
  ) }}
{%- endmacro %}
