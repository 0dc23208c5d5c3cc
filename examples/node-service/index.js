/**
 * A service in Node.js beside Fireside: `archive.find` searches the documents on behalf of whoever calls it.
 *
 *     npm install
 *     FIRESIDE_TRANSPORT_URL=nats://127.0.0.1:4222 FIRESIDE_CLUSTER_KEY=... node index.js
 */
"use strict";

const { ServiceBroker } = require("moleculer");
const { fireside } = require("./fireside.js");

const environment = process.env;

const broker = new ServiceBroker({
	nodeID: environment.FIRESIDE_NODE_ID ?? "archive",
	namespace: environment.FIRESIDE_NAMESPACE ?? "",
	transporter: environment.FIRESIDE_TRANSPORT_URL ?? "nats://127.0.0.1:4222",
	logLevel: "warn",
	middlewares: [fireside(environment.FIRESIDE_CLUSTER_KEY ?? "")],
});

broker.createService({
	name: "archive",
	dependencies: ["documents"],
	actions: {
		find: {
			params: { query: "string" },
			async handler(ctx) {
				const found = await ctx.call("documents.search", { query: ctx.params.query, limit: 3 });
				return { user: ctx.locals.identity?.user ?? null, titles: found.items.map(item => item.title) };
			},
		},
	},
});

async function main() {
	await broker.start(); // when this is done, a node that serves the documents has been seen
	const services = await broker.call("$node.services");
	const { nodes } = services.find(service => service.name === "documents");
	try {
		await broker.call("$node.health", {}, { nodeID: nodes[0] });
		console.log("archive.find is offered");
	} catch (error) {
		console.error(`refused (${error.type}): is FIRESIDE_CLUSTER_KEY the key of this cluster?`);
		process.exitCode = 1;
		await broker.stop();
	}
}

main();
