//! Operations: one registration makes the route and its part of the contract, so that no route stands outside it.

use std::{borrow::Cow, collections::BTreeMap};

use actix_web::{FromRequest, Handler, Resource, Responder, Route, http::Method, web};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, Info, License, OpenApi, OpenApiBuilder, RefOr, Required, Schema,
        extensions::ExtensionsBuilder,
        header::HeaderBuilder,
        path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder},
        request_body::RequestBodyBuilder,
        response::{ResponseBuilder, ResponsesBuilder},
        schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, SchemaFormat, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    policy::{Act, Action, Area},
    problem::{Problem, ProblemDetails},
};

/// Everything that a client can ask.
pub struct Api {
    operations: Vec<Operation>,
    schemas: BTreeMap<String, RefOr<Schema>>,
    tag: &'static str,
}

/// One operation: its route and its page of the contract.
pub struct Operation {
    method: Method,
    path: &'static str,
    tag: &'static str,
    name: &'static str,
    summary: &'static str,
    about: Option<&'static str>,
    action: Action,
    route: Box<dyn Fn(Method) -> Route + Send + Sync>,
    parameters: Vec<Parameter>,
    request: Option<(RefOr<Schema>, Value)>,
    answer: Option<(u16, RefOr<Schema>)>,
    media: &'static str,
    also_media: Vec<&'static str>,
    also_taken: Option<&'static str>,
    needs_version: bool,
    idempotent: bool,
    also: Vec<u16>,
}

/// One page of a list.
pub struct Page<T>(std::marker::PhantomData<T>);

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(reference::<T>()))
            .required("items")
            .property(
                "next",
                ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::String, Type::Null]))
                    .description(Some("Cursor of the next page; null on the last one.")),
            )
            .required("next")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("PageOf{}", T::name()).into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    utoipa::openapi::Ref::from_schema_name(T::name()).into()
}

impl Api {
    /// All operations of all areas.
    pub fn new() -> Api {
        let mut api = Api { operations: Vec::new(), schemas: BTreeMap::new(), tag: "" };
        super::register(&mut api);
        api
    }

    /// The heading under which the next operations stand in the docs.
    pub fn heading(&mut self, tag: &'static str) {
        self.tag = tag;
    }

    pub fn get<A: Act, H, Args>(&mut self, path: &'static str, summary: &'static str, handler: H) -> Draft<'_>
    where
        H: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.add::<A, H, Args>(Method::GET, path, summary, handler)
    }

    pub fn post<A: Act, H, Args>(&mut self, path: &'static str, summary: &'static str, handler: H) -> Draft<'_>
    where
        H: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.add::<A, H, Args>(Method::POST, path, summary, handler)
    }

    pub fn put<A: Act, H, Args>(&mut self, path: &'static str, summary: &'static str, handler: H) -> Draft<'_>
    where
        H: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.add::<A, H, Args>(Method::PUT, path, summary, handler)
    }

    pub fn delete<A: Act, H, Args>(&mut self, path: &'static str, summary: &'static str, handler: H) -> Draft<'_>
    where
        H: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        self.add::<A, H, Args>(Method::DELETE, path, summary, handler)
    }

    fn add<A: Act, H, Args>(
        &mut self,
        method: Method,
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Draft<'_>
    where
        H: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        let name = std::any::type_name::<H>().rsplit("::").next().unwrap_or_default();
        let mut parameters: Vec<Parameter> = path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .map(path_parameter)
            .collect();
        if method == Method::POST {
            parameters.push(idempotency_key());
        }
        self.operations.push(Operation {
            idempotent: method == Method::POST,
            method,
            path,
            tag: self.tag,
            name,
            summary,
            about: None,
            action: A::ACTION,
            route: Box::new(move |method| web::route().method(method).to(handler.clone())),
            parameters,
            request: None,
            answer: None,
            media: "application/json",
            also_media: Vec::new(),
            also_taken: None,
            needs_version: false,
            also: Vec::new(),
        });
        let last = self.operations.len() - 1;
        Draft { operation: &mut self.operations[last], schemas: &mut self.schemas }
    }

    /// Each path once, in the order of registration.
    fn paths(&self) -> Vec<&'static str> {
        let mut paths: Vec<&'static str> = Vec::new();
        for operation in &self.operations {
            if !paths.contains(&operation.path) {
                paths.push(operation.path);
            }
        }
        paths
    }

    /// Whether an operation of a path (with its parameters in braces, below `/v1`) answers in such a form.
    pub fn answers_as(&self, path: &str, takes: impl Fn(&str) -> bool) -> bool {
        let of_path = self.operations.iter().filter(|operation| Some(operation.path) == path.strip_prefix("/v1"));
        of_path.flat_map(|operation| operation.also_media.iter().copied().chain([operation.media])).any(takes)
    }

    /// The query parameters of a read of a path (as in [`Api::answers_as`]).
    pub fn queries(&self, path: &str, method: &Method) -> Option<Vec<&str>> {
        let is_read = method == Method::GET || method == Method::HEAD;
        let operation = self.operations.iter().find(|operation| {
            is_read && operation.method == Method::GET && Some(operation.path) == path.strip_prefix("/v1")
        })?;
        let of_query = operation.parameters.iter().filter(|parameter| parameter.parameter_in == ParameterIn::Query);
        Some(of_query.map(|parameter| parameter.name.as_str()).collect())
    }

    /// Whether a client of a path (as in [`Api::answers_as`]) chooses between two forms.
    pub fn has_choice(&self, path: &str) -> bool {
        let mut of_path = self.operations.iter().filter(|operation| Some(operation.path) == path.strip_prefix("/v1"));
        of_path.any(|operation| !operation.also_media.is_empty())
    }

    /// The actix resources: one for each path, with `HEAD` beside `GET`, and 405 with `Allow` for the rest.
    pub fn resources(&self) -> Vec<Resource> {
        self.paths()
            .into_iter()
            .map(|path| {
                let mut resource = web::resource(format!("/v1{path}"));
                let mut allow = Vec::new();
                for operation in self.operations.iter().filter(|operation| operation.path == path) {
                    resource = resource.route((operation.route)(operation.method.clone()));
                    allow.push(operation.method.to_string());
                    if operation.method == Method::GET {
                        // The same handler; actix leaves the body out by itself.
                        resource = resource.route((operation.route)(Method::HEAD));
                        allow.push("HEAD".into());
                    }
                }
                let allow = allow.join(", ");
                resource.default_service(web::to(move || {
                    let refused = Problem::MethodNotAllowed(allow.clone()).response();
                    async move { refused }
                }))
            })
            .collect()
    }

    /// The contract: OpenAPI 3.1.
    pub fn contract(&self) -> OpenApi {
        let mut schemas = self.schemas.clone();
        schemas.insert("ProblemDetails".into(), ProblemDetails::schema());
        let mut nested = Vec::new();
        ProblemDetails::schemas(&mut nested);
        schemas.extend(nested);
        let mut paths = PathsBuilder::new();
        for operation in &self.operations {
            paths = paths.path(format!("/v1{}", operation.path), operation.page());
        }
        let bearer =
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
        let components = schemas
            .into_iter()
            .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema))
            .security_scheme("bearer", bearer)
            .build();
        let mut info = Info::new("Circlekeeper", env!("CARGO_PKG_VERSION"));
        info.description = Some(
            "One record for therapist-led and peer-led groups. Sign in at `POST /v1/tokens`; send the \
             access token as a bearer token. Each operation names its action (`x-action`): `docs/policy.md` says who \
             may do it. What you may not know of answers 404, exactly as what does not exist."
                .into(),
        );
        info.license = Some(License::new("MIT OR Apache-2.0"));
        OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components)).build()
    }
}

/// The contract as JSON: its paths in the order of registration, everything else by name. utoipa keeps extensions
/// in no order at all, so that its own JSON is another one in every run.
pub struct Document {
    parts: BTreeMap<String, Value>,
    paths: Vec<&'static str>,
}

impl Document {
    pub fn of(api: &Api) -> serde_json::Result<Document> {
        let parts = serde_json::from_value(serde_json::to_value(api.contract())?)?;
        Ok(Document { parts, paths: api.paths() })
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Paths<'a>(&'a Document, &'a Value);
        impl Serialize for Paths<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let named = self.0.paths.iter().map(|path| format!("/v1{path}"));
                serializer.collect_map(named.map(|path| (path.clone(), &self.1[&path])))
            }
        }
        let mut map = serializer.serialize_map(Some(self.parts.len()))?;
        for (name, part) in &self.parts {
            match name.as_str() {
                "paths" => map.serialize_entry(name, &Paths(self, part))?,
                _ => map.serialize_entry(name, part)?,
            }
        }
        map.end()
    }
}

impl Default for Api {
    fn default() -> Self {
        Api::new()
    }
}

/// An operation that is being described.
pub struct Draft<'a> {
    operation: &'a mut Operation,
    schemas: &'a mut BTreeMap<String, RefOr<Schema>>,
}

impl Draft<'_> {
    /// The body that it reads, with an example that works on the demo.
    pub fn takes<T: ToSchema>(mut self, example: Value) -> Self {
        self.collect::<T>();
        self.operation.request = Some((reference::<T>(), example));
        self
    }

    /// Answers 200 with this.
    pub fn gives<T: ToSchema>(self) -> Self {
        self.answers::<T>(200)
    }

    /// Answers 201 with this and its `Location`.
    pub fn creates<T: ToSchema>(self) -> Self {
        self.answers::<T>(201)
    }

    /// Answers 200 with pages of this.
    pub fn lists<T: ToSchema>(self) -> Self {
        self.answers::<Page<T>>(200).paged()
    }

    /// Is read page by page.
    pub fn paged(mut self) -> Self {
        self.parameter(
            "limit",
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(200)).into(),
        );
        self.parameter("cursor", ObjectBuilder::new().schema_type(Type::String).into());
        self
    }

    /// Answers 200 with text of this media type.
    pub fn gives_text(self, media: &'static str) -> Self {
        self.operation.media = media;
        self.operation.answer = Some((200, ObjectBuilder::new().schema_type(Type::String).into()));
        self
    }

    /// Answers 200 with an object of this media type, which a standard describes.
    pub fn gives_object(self, media: &'static str) -> Self {
        self.operation.media = media;
        self.operation.answer = Some((200, ObjectBuilder::new().schema_type(Type::Object).into()));
        self
    }

    /// Also reads its body under this media type, in the same form.
    pub fn also_taken_as(self, media: &'static str) -> Self {
        self.operation.also_taken = Some(media);
        self
    }

    /// Reads these query parameters.
    pub fn asks<Q: IntoParams>(self) -> Self {
        self.operation.parameters.extend(Q::into_params(|| Some(ParameterIn::Query)));
        self
    }

    /// Needs `If-Match` with the version that was read.
    pub fn changes(self) -> Self {
        self.operation.needs_version = true;
        self.operation.parameters.push(
            ParameterBuilder::new()
                .name("If-Match")
                .parameter_in(ParameterIn::Header)
                // The server itself asks for it, with 428; a client that forgets it gets that answer.
                .required(Required::False)
                .description(Some("The ETag of the version that you read."))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build(),
        );
        self
    }

    /// Makes nothing, so that sending it again needs no `Idempotency-Key`.
    pub fn makes_nothing(self) -> Self {
        self.operation.idempotent = false;
        self.operation.parameters.retain(|parameter| parameter.name != "Idempotency-Key");
        self
    }

    /// Makes something, though it is no POST: the same `Idempotency-Key` gets the first answer again.
    pub fn can_be_sent_again(self) -> Self {
        self.operation.idempotent = true;
        self.operation.parameters.push(idempotency_key());
        self
    }

    /// Also answers in this form, to a client that asks for it with `Accept`.
    pub fn also_as(self, media: &'static str) -> Self {
        self.operation.also_media.push(media);
        self
    }

    /// What somebody has to know who does this for the first time.
    pub fn says(self, about: &'static str) -> Self {
        self.operation.about = Some(about);
        self
    }

    /// Can also answer with this status.
    pub fn also(self, status: u16) -> Self {
        self.operation.also.push(status);
        self
    }

    fn answers<T: ToSchema>(mut self, status: u16) -> Self {
        self.collect::<T>();
        self.operation.answer = Some((status, reference::<T>()));
        self
    }

    fn collect<T: ToSchema>(&mut self) {
        let mut nested = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut nested);
        for (name, schema) in nested {
            let kept = self.schemas.entry(name.clone()).or_insert_with(|| schema.clone());
            // The contract would describe only one of them. Every test builds the contract, so this shows at once.
            debug_assert!(*kept == schema, "two schemas are called {name}");
        }
    }

    fn parameter(&mut self, name: &str, schema: Schema) {
        self.operation.parameters.push(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .schema(Some(schema))
                .build(),
        );
    }
}

fn idempotency_key() -> Parameter {
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(8))
        .max_length(Some(128))
        .pattern(Some("^[!-~]+$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Send the same key again to get the first answer again instead of a second effect."))
        .schema(Some(key))
        .build()
}

fn path_parameter(name: &str) -> Parameter {
    let text = |pattern: &str| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let schema = match name {
        "instrument" => text("^[a-z0-9-]{1,40}$"),
        "token" => text("^[A-Za-z0-9_-]{43}$"),
        _ => ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".into()))),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

impl Operation {
    fn page(&self) -> PathItem {
        let method = match self.method {
            Method::GET => HttpMethod::Get,
            Method::PUT => HttpMethod::Put,
            Method::PATCH => HttpMethod::Patch,
            Method::DELETE => HttpMethod::Delete,
            _ => HttpMethod::Post,
        };
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.name))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description(self.about)
            .responses(self.responses())
            .extensions(Some(
                ExtensionsBuilder::new()
                    .add("x-action", json!(self.action.as_str()))
                    .add("x-area", json!(self.action.area().as_str()))
                    .build(),
            ));
        for parameter in &self.parameters {
            operation = operation.parameter(parameter.clone());
        }
        if let Some((schema, example)) = &self.request {
            let content = || ContentBuilder::new().schema(Some(schema.clone())).example(Some(example.clone())).build();
            let mut body =
                RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content());
            if let Some(media) = self.also_taken {
                body = body.content(media, content());
            }
            operation = operation.request_body(Some(body.build()));
        }
        if self.action.area() != Area::Public {
            operation = operation.security(SecurityRequirement::new::<_, [&str; 0], &str>("bearer", []));
        }
        PathItem::new(method, operation.build())
    }

    fn responses(&self) -> utoipa::openapi::Responses {
        let mut responses = ResponsesBuilder::new();
        let header = |text: &str| {
            HeaderBuilder::new()
                .description(Some(text))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build()
        };
        responses = match &self.answer {
            Some((status, schema)) => {
                let mut response = ResponseBuilder::new()
                    .description(if *status == 201 { "Made." } else { "Here it is." })
                    .content(self.media, ContentBuilder::new().schema(Some(schema.clone())).build());
                for media in &self.also_media {
                    let form = if media.ends_with("json") { Type::Object } else { Type::String };
                    let form = ObjectBuilder::new().schema_type(form);
                    response = response.content(*media, ContentBuilder::new().schema(Some(form)).build());
                }
                if *status == 201 {
                    response = response.header("Location", header("Where it is."));
                }
                responses.response(status.to_string(), response.build())
            }
            None => responses.response("204", ResponseBuilder::new().description("Done.").build()),
        };
        for (status, description) in self.refusals() {
            responses = responses.response(
                status.to_string(),
                ResponseBuilder::new()
                    .description(description)
                    .content(
                        "application/problem+json",
                        ContentBuilder::new().schema(Some(reference::<ProblemDetails>())).build(),
                    )
                    .build(),
            );
        }
        responses.build()
    }

    fn refusals(&self) -> BTreeMap<u16, &'static str> {
        let mut refusals =
            BTreeMap::from([(400, "The request cannot be read."), (503, "Busy; try again after Retry-After seconds.")]);
        let area = self.action.area();
        if area != Area::Public || self.also.contains(&401) {
            refusals.insert(401, "Sign in first.");
        }
        if matches!(area, Area::Organization | Area::Group) {
            refusals.insert(403, "A standing, without the right.");
        }
        if self.path.contains('{') || matches!(area, Area::Organization | Area::Group) || self.also.contains(&404) {
            refusals.insert(404, "Not there, or not for you.");
        }
        if self.request.is_some() {
            refusals.insert(413, "The body is too large.");
            refusals.insert(415, "The body is not JSON.");
            refusals.insert(422, "Read, and refused by a rule: `errors` names the fields.");
        }
        if self.method != Method::GET || self.also.contains(&409) {
            refusals.insert(409, "It clashes with what is kept.");
        }
        if self.idempotent {
            refusals.insert(422, "Read, and refused by a rule: `errors` names the fields.");
        }
        if self.needs_version {
            refusals.insert(412, "Somebody changed it meanwhile.");
            refusals.insert(428, "If-Match is missing.");
        }
        if self.also.contains(&422) {
            refusals.insert(422, "Read, and refused by a rule: `errors` names the fields.");
        }
        if self.also.contains(&429) {
            refusals.insert(429, "Too many attempts; try again after Retry-After seconds.");
        }
        refusals
    }
}
