// Draws the OpenAPI document of this server. Deep links lead to one call: /docs#/Documents/list_documents.

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null, // would send the document to another site
  defaultModelsExpandDepth: -1,
});
