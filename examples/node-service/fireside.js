/**
 * Lets a Moleculer broker take part in a Fireside cluster: a middleware that shows that the broker has the cluster key,
 * verifies who asks, and says on whose behalf a call is made. It needs nothing but Node.js.
 *
 *     const broker = new ServiceBroker({ middlewares: [fireside(process.env.FIRESIDE_CLUSTER_KEY)], ... });
 *
 * In an action, `ctx.locals.identity` is the caller whom the cluster vouches for, or null; `ctx.call` passes it on.
 */
"use strict";

const { createHmac, hkdfSync, timingSafeEqual } = require("node:crypto");

const ISSUER = "fireside";
const LIFETIME_S = 120;
const CLOCK_SKEW_S = 30;

/** Makes and verifies the tokens of one purpose ("call" or "node"): HS256 under a key derived from the cluster key. */
class Tokens {
	constructor(clusterKey, purpose) {
		const info = `["fireside", "mesh", 1, "${purpose}"]`;
		this.key = Buffer.from(hkdfSync("sha256", clusterKey, "", info, 32));
	}

	mint(claims, audience) {
		const now = Math.floor(Date.now() / 1000);
		const registered = { iss: ISSUER, aud: audience, iat: now, exp: now + LIFETIME_S };
		const signed = `${encode({ alg: "HS256" })}.${encode({ ...claims, ...registered })}`;
		return `${signed}.${this.sign(signed).toString("base64url")}`;
	}

	/** What a token says; null when it was not made with this key for this audience, or is too old. */
	verify(token, audience) {
		const [header, body, signature] = String(token).split(".");
		const expected = this.sign(`${header}.${body}`);
		const given = Buffer.from(signature ?? "", "base64url");
		if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
		if (decode(header).alg !== "HS256") return null;
		const claims = decode(body);
		const now = Date.now() / 1000;
		const isCurrent = claims.iat <= now + CLOCK_SKEW_S && now <= claims.exp + CLOCK_SKEW_S;
		return claims.iss === ISSUER && claims.aud === audience && isCurrent ? claims : null;
	}

	sign(text) {
		return createHmac("sha256", this.key).update(text).digest();
	}
}

const encode = value => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = text => JSON.parse(Buffer.from(text, "base64url").toString());
const serviceOf = action => action.split(".", 1)[0];

function identityFrom(claims) {
	if (claims === null) return null;
	const { kind, name, user, roles, permissions, session } = claims;
	return { kind, name, user, roles, permissions, session };
}

/**
 * Moleculer loses such an error, and never ends the stream, when it arrives in one go with the first chunk: the caller
 * has then had no chance to listen. One turn of the event loop gives it that.
 */
const endsStreamInError = ({ stream, seq, success }) => stream === false && seq > 0 && !success;

/** The identity of this broker when it acts for nobody but itself. */
function itself(nodeID) {
	return { kind: "service", name: nodeID, user: null, roles: [], permissions: [], session: null };
}

/** The middleware. Options of a call may carry `identity`; otherwise it is that of the call being worked on. */
function fireside(clusterKey) {
	const calls = new Tokens(clusterKey, "call");
	const nodes = new Tokens(clusterKey, "node");
	const trusted = new Set();
	let broker;

	function note(packet) {
		const token = packet.metadata?.fireside?.token;
		const claims = token ? nodes.verify(token, "nodes") : null;
		const isOurs = claims !== null && claims.node === packet.sender && claims.instance === packet.instanceID;
		trusted[isOurs ? "add" : "delete"](packet.sender);
	}

	const pass = (identity, audience) => ({ token: calls.mint(identity, audience) });

	return {
		name: "Fireside",

		created(created) {
			broker = created;
			Object.defineProperty(broker.metadata, "fireside", {
				enumerable: true,
				get: () => ({
					token: nodes.mint({ node: broker.nodeID, instance: broker.instanceID }, "nodes"),
				}),
			});
		},

		/** Learns from each announcement whether the node has the cluster key, and sees that no stream loses its error. */
		transitMessageHandler(next) {
			return async (command, packet) => {
				if (command === "INFO") note(packet.payload);
				if (command === "RES" && endsStreamInError(packet.payload)) await new Promise(setImmediate);
				return next(command, packet);
			};
		},

		/** Says who asks, before an action of ours runs. */
		localAction(next, action) {
			return ctx => {
				const token = ctx.meta.fireside?.token;
				const told = token ? identityFrom(calls.verify(token, serviceOf(action.name))) : null;
				ctx.locals.identity = told ?? ctx.options.identity ?? ctx.options.parentCtx?.locals.identity ?? null;
				delete ctx.meta.fireside;
				return next(ctx);
			};
		},

		/** Sends with a call to a node of the cluster on whose behalf it is made; to others nothing. */
		remoteAction(next, action) {
			return ctx => {
				const parent = ctx.options.parentCtx;
				const identity = ctx.options.identity ?? (parent ? parent.locals.identity : itself(broker.nodeID));
				delete ctx.meta.fireside;
				if (identity && trusted.has(ctx.nodeID)) ctx.meta.fireside = pass(identity, serviceOf(action.name));
				return next(ctx).finally(() => delete ctx.meta.fireside);
			};
		},

		/** Events to nodes of the cluster are vouched for too. */
		transitPublish(next) {
			return packet => {
				if (packet.type === "EVENT" && trusted.has(packet.target)) {
					const part = pass(itself(broker.nodeID), "signals");
					packet.payload.meta = { ...packet.payload.meta, fireside: part };
				}
				return next(packet);
			};
		},
	};
}

module.exports = { fireside, Tokens };
