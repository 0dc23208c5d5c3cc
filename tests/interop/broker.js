/**
 * Brokers of the real Moleculer, driven by the tests: one JSON line in for each thing to do, one line out with its result.
 * Run as: node broker.js <moleculer | moleculer-015> <transporter URL> <namespace>
 */
"use strict";

const { createInterface } = require("node:readline");
const { Readable } = require("node:stream");
const { fireside } = require("../../examples/node-service/fireside.js");

const [, , moduleName, url, namespace] = process.argv;
const { ServiceBroker, Errors } = require(moduleName);
const isNew = moduleName === "moleculer-015";

// Moleculer takes one request at a time from AMQP unless told otherwise; chunks that follow a request would wait for ever.
const options = url.startsWith("amqp") ? { type: "AMQP", options: { url, prefetch: 100 } } : url;

// A heartbeat that falls into the closing of the channel is refused by amqplib, and Moleculer lets that pass unhandled.
process.on("unhandledRejection", error => {
	if (error?.name !== "IllegalOperationError") throw error;
});

const brokers = new Map();
const heard = new Map();

class TooOddError extends Errors.MoleculerClientError {}

async function* counted({ upto, failAt = null }) {
	for (let value = 0; value < upto; value++) {
		if (value === failAt) throw new TooOddError(`${value} is odd`, 409, "too_odd", { value });
		yield { value };
	}
}

async function bytesIn(stream) {
	let bytes = 0;
	for await (const chunk of stream) bytes += chunk.length;
	return bytes;
}

function service(name, events) {
	return {
		name,
		actions: {
			echo: ctx => ({
				text: ctx.params.text,
				identity: ctx.locals.identity ?? null,
				meta: ctx.meta,
				node: ctx.broker.nodeID,
			}),
			refuse(ctx) {
				throw new TooOddError(`${ctx.params.value} is odd`, 409, "too_odd", { value: ctx.params.value });
			},
			check: { params: { value: "number" }, handler: ctx => ctx.params },
			numbers: ctx => Readable.from(counted(ctx.params)),
			weigh: async ctx => ({ bytes: await bytesIn(isNew ? ctx.stream : ctx.params) }),
			relay: ctx => ctx.call("desk.echo", { text: ctx.params.text }),
		},
		events: {
			"desk.told": {
				group: events,
				handler(ctx) {
					heard.get(ctx.broker.nodeID).push([events, ctx.params.text]);
				},
			},
		},
	};
}

const doers = {
	async start({ node, key, services, groups = [] }) {
		const broker = new ServiceBroker({
			nodeID: node,
			namespace,
			transporter: options,
			logger: false,
			heartbeatInterval: 0.4,
			heartbeatTimeout: 10,
			middlewares: key ? [fireside(key)] : [],
		});
		heard.set(node, []);
		services.forEach((name, number) => broker.createService(service(name, groups[number] ?? name)));
		await broker.start();
		brokers.set(node, broker);
	},
	async stop({ node }) {
		await brokers.get(node).stop();
		brokers.delete(node);
	},
	async wait({ node, actions }) {
		const { registry } = brokers.get(node);
		while (!actions.every(name => offered(registry, name))) await new Promise(resolve => setTimeout(resolve, 10));
	},
	async wait_for_node({ node, other }) {
		const { registry } = brokers.get(node);
		while (!registry.getNodeList({ onlyAvailable: true, withServices: true }).some(seen => seen.id === other && seen.services.length))
			await new Promise(resolve => setTimeout(resolve, 10));
	},
	async call({ node, action, params, options = {}, body, collect }) {
		const broker = brokers.get(node);
		let answer;
		if (body) {
			const stream = Readable.from(body.map(text => Buffer.from(text, "base64")), { objectMode: false });
			answer = await (isNew
				? broker.call(action, params, { ...options, stream })
				: broker.call(action, stream, options));
		} else {
			answer = await broker.call(action, params, options);
		}
		if (!collect) return answer;
		const items = [];
		try {
			for await (const item of answer) items.push(item);
		} catch (error) {
			return { items, error: told(error) };
		}
		return { items, error: null };
	},
	async emit({ node, event, payload, groups }) {
		await brokers.get(node).emit(event, payload, groups ? { groups } : undefined);
	},
	async broadcast({ node, event, payload }) {
		await brokers.get(node).broadcast(event, payload);
	},
	heard: async ({ node }) => heard.get(node),
	ping: async ({ node, other }) => brokers.get(node).ping(other, 2000),
	nodes: async ({ node }) =>
		brokers
			.get(node)
			.registry.getNodeList({ onlyAvailable: true })
			.map(other => other.id),
};

function offered(registry, name) {
	return registry.getActionList({ onlyAvailable: true }).some(action => action.name === name);
}

function told(error) {
	const { name, message, code, type, data, retryable, nodeID } = error;
	return { name, message, code, type, data, retryable, nodeID, isMoleculer: error instanceof Errors.MoleculerError };
}

createInterface({ input: process.stdin }).on("line", async line => {
	const { id, op, ...rest } = JSON.parse(line);
	let reply;
	try {
		reply = { id, result: (await doers[op](rest)) ?? null };
	} catch (error) {
		reply = { id, error: told(error) };
	}
	process.stdout.write(JSON.stringify(reply) + "\n");
}).on("close", () => process.exit(0));
