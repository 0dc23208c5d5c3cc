/**
 * Two nodes of the real Moleculer for `mesh.py`, one in each process: one JSON line in for each thing to measure, one out.
 * Run as: node mesh_nodes.js <caller | callee> <transporter URL> <namespace>
 */
"use strict";

const { createInterface } = require("node:readline");
const { Readable } = require("node:stream");
const { setTimeout: pause } = require("node:timers/promises");
const { ServiceBroker } = require("moleculer");

const [, , role, url, namespace] = process.argv;

// Moleculer takes one request at a time from AMQP unless told otherwise.
const transporter = url.startsWith("amqp") ? { type: "AMQP", options: { url, prefetch: 100 } } : url;
const broker = new ServiceBroker({ nodeID: role, namespace, transporter, logger: false });

function nowMs() {
	const [seconds, nanoseconds] = process.hrtime();
	return seconds * 1e3 + nanoseconds / 1e6;
}

async function* chunks(count) {
	for (let index = 0; index < count; index++) yield { text: " token", index };
}

async function* tokens({ count, pauseMs }) {
	for (let index = 0; index < count; index++) {
		await pause(pauseMs);
		yield { text: " token", index, atMs: nowMs() };
	}
}

let heard = 0;
let waiter = null;

const bench = {
	name: "bench",
	actions: {
		echo: ctx => ctx.params,
		chunks: ctx => Readable.from(chunks(ctx.params.count)),
		tokens: ctx => Readable.from(tokens(ctx.params)),
		heard: async ctx => {
			if (heard < ctx.params.count) await new Promise(resolve => (waiter = { count: ctx.params.count, resolve }));
			heard = 0;
			return {};
		},
	},
	events: {
		"bench.told"() {
			heard++;
			if (waiter && heard >= waiter.count) {
				waiter.resolve();
				waiter = null;
			}
		},
	},
};

function summary(samplesMs) {
	const sorted = Float64Array.from(samplesMs).sort();
	return { p50: sorted[Math.floor(sorted.length * 0.5)], p99: sorted[Math.floor(sorted.length * 0.99)] };
}

function pace(count, began) {
	return { count, rate: (count / (nowMs() - began)) * 1e3 };
}

const measurements = {
	async calls({ callers, seconds }) {
		const took = [];
		const began = nowMs();
		const ends = began + seconds * 1e3;
		const caller = async () => {
			for (let started = nowMs(); started < ends; started = nowMs()) {
				await broker.call("bench.echo", { value: 1 });
				took.push(nowMs() - started);
			}
		};
		await Promise.all(Array.from({ length: callers }, caller));
		return { ...pace(took.length, began), ...summary(took) };
	},
	async events({ batch, seconds }) {
		const began = nowMs();
		let sent = 0;
		while (nowMs() < began + seconds * 1e3) {
			for (let number = 0; number < batch; number++) await broker.emit("bench.told", { value: 1 });
			await broker.call("bench.heard", { count: batch });
			sent += batch;
		}
		return pace(sent, began);
	},
	async chunks({ batch, seconds }) {
		const began = nowMs();
		let received = 0;
		while (nowMs() < began + seconds * 1e3) for await (const _ of await broker.call("bench.chunks", { count: batch })) received++;
		return pace(received, began);
	},
	async tokens({ count, pause_ms: pauseMs }) {
		const took = [];
		for await (const item of await broker.call("bench.tokens", { count, pauseMs })) took.push(nowMs() - item.atMs);
		return { count, ...summary(took) };
	},
};

async function main() {
	if (role === "callee") broker.createService(bench);
	await broker.start();
	if (role === "caller") await broker.waitForServices("bench");
	process.stdout.write(JSON.stringify("ready") + "\n");
	for await (const line of createInterface({ input: process.stdin })) {
		const { measure, ...rest } = JSON.parse(line);
		process.stdout.write(JSON.stringify(await measurements[measure](rest)) + "\n");
	}
	await broker.stop();
	process.exit(0);
}

main();
