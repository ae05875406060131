//! FROM: tables, error tables, subqueries, FLATTEN and joins.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Join, JoinConstraint, JoinOperator,
    ObjectName, TableAlias, TableFactor, TableWithJoins,
};

use super::scope::{Scope, Source, SourceColumn};
use super::{Translator, Typed, visible_table};
use crate::catalog::{DataType, Kind, Privilege, Table};
use crate::sql::SqlError;
use crate::sql::parse::{parts, resolve};

/// Hidden column with the commit time of a row, on tables with ROW_TIMESTAMP.
const COMMIT_TIME: &str = "METADATA$ROW_LAST_COMMIT_TIME";

impl Translator<'_> {
    /// Translates FROM and enters its tables into `scope`; empty SQL when there is none.
    pub(super) fn from(
        &mut self,
        scope: &mut Scope<'_>,
        from: &[TableWithJoins],
    ) -> Result<String, SqlError> {
        let mut sql = String::new();
        for (at, item) in from.iter().enumerate() {
            sql.push_str(if at == 0 { " FROM " } else { ", " });
            sql.push_str(&self.factor(scope, &item.relation)?);
            for join in &item.joins {
                sql.push_str(&self.join(scope, join)?);
            }
        }
        Ok(sql)
    }

    fn join(&mut self, scope: &mut Scope<'_>, join: &Join) -> Result<String, SqlError> {
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => ("JOIN", constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => ("LEFT JOIN", constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                ("RIGHT JOIN", constraint)
            }
            JoinOperator::FullOuter(constraint) => ("FULL JOIN", constraint),
            JoinOperator::CrossJoin(constraint) => ("CROSS JOIN", constraint),
            other => return Err(SqlError::unsupported(format!("join {other:?}"))),
        };
        let before = scope.sources.len();
        let right = self.factor(scope, &join.relation)?;
        let on = match constraint {
            JoinConstraint::None => String::new(),
            JoinConstraint::On(condition) => format!(" ON {}", self.expr(scope, condition)?.condition()),
            JoinConstraint::Using(names) => {
                let mut conditions = Vec::new();
                for name in names {
                    let name = parts(name)?;
                    let left = Scope { sources: scope.sources[..before].to_vec(), ..Scope::default() }
                        .find(&name)?;
                    let right = Scope { sources: scope.sources[before..].to_vec(), ..Scope::default() }
                        .find(&name)?;
                    conditions.push(super::operators::equal(left, right).condition());
                    // The column stands once in `*`, and its bare name is the left one's.
                    for source in &mut scope.sources[before..] {
                        source.columns.retain(|column| Some(&column.name) != name.last());
                    }
                }
                format!(" ON {}", conditions.join(" AND "))
            }
            JoinConstraint::Natural => return Err(SqlError::unsupported("NATURAL JOIN")),
        };
        Ok(format!(" {kind} {right}{on}"))
    }

    fn factor(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) -> Result<String, SqlError> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => self.table(scope, name, alias.as_ref()),
            TableFactor::Table { name, alias, args: Some(args), .. } => {
                self.table_function(scope, name, &args.args, alias.as_ref())
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.table_function(scope, name, args, alias.as_ref())
            }
            TableFactor::TableFunction { expr: Expr::Function(Function { name, args, .. }), alias } => {
                let FunctionArguments::List(list) = args else { return Err(SqlError::unsupported(name)) };
                self.table_function(scope, name, &list.args, alias.as_ref())
            }
            TableFactor::Derived { subquery, alias, lateral, .. } => {
                let outer = scope.clone();
                let inner = self.query(subquery, if *lateral { Some(&outer) } else { scope.outer })?;
                let name = self.fresh();
                let source = Source::of_query(&name, &inner.columns);
                enter(scope, source, alias.as_ref());
                Ok(format!("({}) AS {name}", inner.sql))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let inner = self.from(scope, std::slice::from_ref(table_with_joins))?;
                Ok(format!("({})", inner.trim_start_matches(" FROM ")))
            }
            other => Err(SqlError::unsupported(other)),
        }
    }

    fn table(
        &mut self,
        scope: &mut Scope<'_>,
        name: &ObjectName,
        alias: Option<&TableAlias>,
    ) -> Result<String, SqlError> {
        let name = parts(name)?;
        let own = self.fresh();
        if let [single] = name.as_slice()
            && let Some((columns, stored)) = self.tables.get(single)
        {
            let source = Source { qualifiers: vec![single.clone()], ..Source::of_query(&own, columns) };
            let stored = stored.clone();
            enter(scope, source, alias);
            return Ok(format!("{stored} AS {own}"));
        }
        let path = self.session.path(&name)?;
        let table = visible_table(self.catalog, self.session, &path)?;
        self.session.require_warehouse(self.catalog)?;
        if !self.catalog.may(&self.session.role, Privilege::Select, &Kind::Table(path.clone())) {
            return Err(SqlError::missing("Object", &path));
        }
        let qualifiers = vec![path.database, path.schema, path.name];
        enter(scope, Source { qualifiers, columns: table_columns(table, &own) }, alias);
        Ok(format!("{} AS {own}", table.stored()))
    }

    fn table_function(
        &mut self,
        scope: &mut Scope<'_>,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
    ) -> Result<String, SqlError> {
        let name = parts(name)?.pop().unwrap_or_default();
        match (name.as_str(), args) {
            ("TABLE", [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner)))]) => {
                let FunctionArguments::List(list) = &inner.args else {
                    return Err(SqlError::unsupported(inner));
                };
                self.table_function(scope, &inner.name, &list.args, alias)
            }
            ("ERROR_TABLE", [FunctionArg::Unnamed(FunctionArgExpr::Expr(table))]) => {
                self.error_table(scope, table, alias)
            }
            ("FLATTEN", args) => self.flatten(scope, args, alias),
            ("DATA_SOURCE", _) => {
                let own = self.fresh();
                let row = SourceColumn {
                    name: "$1".into(),
                    sql: "?4".into(),
                    data_type: DataType::Variant,
                    hidden: false,
                };
                enter(scope, Source { qualifiers: Vec::new(), columns: vec![row] }, alias);
                Ok(format!("(SELECT 1) AS {own}"))
            }
            (name, _) => Err(SqlError::unsupported(format!("table function {name}"))),
        }
    }

    fn error_table(
        &mut self,
        scope: &mut Scope<'_>,
        table: &Expr,
        alias: Option<&TableAlias>,
    ) -> Result<String, SqlError> {
        let name: Vec<String> = match table {
            Expr::Identifier(ident) => vec![resolve(ident)],
            Expr::CompoundIdentifier(idents) => idents.iter().map(resolve).collect(),
            other => crate::names::split(other.to_string().trim_matches('\'')),
        };
        let path = self.session.path(&name)?;
        let table = visible_table(self.catalog, self.session, &path)?;
        let on = Kind::Table(path.clone());
        if !self.catalog.may(&self.session.role, Privilege::SelectErrorTable, &on) {
            return Err(SqlError::denied("error table", &path));
        }
        self.session.require_warehouse(self.catalog)?;
        let own = self.fresh();
        let column = |name: &str, stored: &str, data_type: DataType| SourceColumn {
            name: name.into(),
            sql: format!("{own}.{stored}"),
            data_type,
            hidden: false,
        };
        let columns = vec![
            column("TIMESTAMP", "at", DataType::LTZ),
            column("QUERY_ID", "query_id", DataType::TEXT),
            column("ERROR_CODE", "code", DataType::INTEGER),
            column("ERROR_METADATA", "metadata", DataType::Object(Vec::new())),
            column("ERROR_DATA", "data", DataType::Variant),
        ];
        enter(scope, Source { qualifiers: vec![path.name], columns }, alias);
        Ok(format!("{} AS {own}", table.stored_errors()))
    }

    /// `FLATTEN(input => expr [, path => 'a.b'] [, outer => …])`.
    fn flatten(
        &mut self,
        scope: &mut Scope<'_>,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
    ) -> Result<String, SqlError> {
        let mut input = None;
        let mut path = None;
        for (at, arg) in args.iter().enumerate() {
            let (name, value) = match arg {
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                    (name.value.to_uppercase(), value)
                }
                FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. } => {
                    (name.to_string().to_uppercase(), value)
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if at == 0 => ("INPUT".to_owned(), value),
                other => return Err(SqlError::unsupported(other)),
            };
            match name.as_str() {
                "INPUT" => input = Some(self.expr(scope, value)?),
                "PATH" => path = Some(self.expr(scope, value)?.into_text()),
                other => return Err(SqlError::unsupported(format!("FLATTEN with {other}"))),
            }
        }
        let input: Typed = input.ok_or_else(|| SqlError::syntax("FLATTEN needs INPUT"))?;
        let json = path.map_or(input.sql.clone(), |path| format!("sf_get_path({}, {path})", input.sql));
        let own = self.fresh();
        // Values come through sf_get, since SQLite's own JSON loses digits of numbers.
        let column = |name: &str, sql: String, data_type| SourceColumn {
            name: name.into(),
            sql,
            data_type,
            hidden: false,
        };
        let key = format!("CASE WHEN typeof({own}.key) = 'text' THEN {own}.key END");
        let index = format!("CASE WHEN typeof({own}.key) = 'integer' THEN {own}.key END");
        let columns = vec![
            column("SEQ", format!("{own}.id"), DataType::INTEGER),
            column("KEY", key, DataType::TEXT),
            column("PATH", format!("{own}.fullkey"), DataType::TEXT),
            column("INDEX", index, DataType::INTEGER),
            column("VALUE", format!("sf_get({json}, {own}.key)"), DataType::Variant),
            column("THIS", json.clone(), DataType::Variant),
        ];
        enter(scope, Source { qualifiers: Vec::new(), columns }, alias);
        Ok(format!("json_each({json}) AS {own}"))
    }
}

/// Columns of a stored table called `own` in the SQL.
pub(in crate::sql) fn table_columns(table: &Table, own: &str) -> Vec<SourceColumn> {
    let columns = table.columns.iter().map(|column| SourceColumn {
        name: column.name.clone(),
        sql: format!("{own}.{}", column.stored()),
        data_type: column.data_type.clone(),
        hidden: false,
    });
    let commit_time = table.row_timestamp.map(|first| SourceColumn {
        name: COMMIT_TIME.into(),
        sql: format!("(SELECT at FROM _commits WHERE id = {own}._c AND id >= {first})"),
        data_type: DataType::LTZ,
        hidden: true,
    });
    columns.chain(commit_time).collect()
}

fn enter(scope: &mut Scope<'_>, mut source: Source, alias: Option<&TableAlias>) {
    if let Some(alias) = alias {
        source.qualifiers = vec![resolve(&alias.name)];
        for (column, renamed) in source.columns.iter_mut().zip(&alias.columns) {
            column.name = resolve(&renamed.name);
        }
    }
    scope.sources.push(source);
}
