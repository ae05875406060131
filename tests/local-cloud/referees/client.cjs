// AWS's SDK for JavaScript, unchanged: writes, reads, subscribes over HTTP/2, and keeps a lease in a table.
//
// Endpoint and credentials come from the environment, as for any program of the SDK. Fails with a stack trace.
"use strict";
const assert = require("node:assert/strict");
const { createRequire } = require("node:module");

// The packages are in the folder that this runs in, not beside this file.
const packages = createRequire(`${process.cwd()}/`);
const { Kinesis, waitUntilStreamExists, paginateListStreamConsumers } = packages("@aws-sdk/client-kinesis");
const { DynamoDB, waitUntilTableExists } = packages("@aws-sdk/client-dynamodb");

const kinesis = new Kinesis({ maxAttempts: 1 });
const dynamodb = new DynamoDB({ maxAttempts: 1 });
const soon = { maxWaitTime: 10, minDelay: 1, maxDelay: 1 };
const text = (record) => Buffer.from(record.Data).toString();

async function polled(shard) {
  const seen = [];
  let { ShardIterator } = await kinesis.getShardIterator({
    StreamName: "javascript", ShardId: shard, ShardIteratorType: "TRIM_HORIZON",
  });
  for (;;) {
    const page = await kinesis.getRecords({ ShardIterator, Limit: 100 });
    seen.push(...page.Records.map(text));
    if (page.MillisBehindLatest === 0 && page.Records.length === 0) return seen;
    ShardIterator = page.NextShardIterator;
  }
}

async function pushed(consumer, shard, count) {
  const seen = [];
  const { EventStream } = await kinesis.subscribeToShard({
    ConsumerARN: consumer, ShardId: shard, StartingPosition: { Type: "TRIM_HORIZON" },
  });
  for await (const { SubscribeToShardEvent: event } of EventStream) {
    assert.match(event.ContinuationSequenceNumber, /^[0-9]+$/);
    seen.push(...event.Records.map(text));
    if (seen.length >= count) return seen;
  }
  throw new Error("the subscription ended early");
}

async function main() {
  await kinesis.createStream({ StreamName: "javascript", ShardCount: 2 });
  await waitUntilStreamExists({ client: kinesis, ...soon }, { StreamName: "javascript" });
  const { StreamDescriptionSummary: { StreamARN } } = await kinesis.describeStreamSummary({ StreamName: "javascript" });
  await assert.rejects(kinesis.describeStream({ StreamName: "nowhere" }), { name: "ResourceNotFoundException" });

  const wanted = Array.from({ length: 300 }, (_, n) => `{"n":${n},"text":"ä€"}`);
  const put = await kinesis.putRecords({
    StreamName: "javascript",
    Records: wanted.map((data, n) => ({ PartitionKey: `key-${n}`, Data: Buffer.from(data) })),
  });
  assert.equal(put.FailedRecordCount, 0);
  const { Shards } = await kinesis.listShards({ StreamName: "javascript" });
  const shards = Shards.map((shard) => shard.ShardId);
  const read = await Promise.all(shards.map(polled));
  assert.deepEqual(read.flat().sort(), [...wanted].sort());

  const { Consumer } = await kinesis.registerStreamConsumer({ StreamARN, ConsumerName: "javascript" });
  for (let status = "", tries = 0; status !== "ACTIVE"; tries += 1) {
    assert.ok(tries < 200);
    const found = await kinesis.describeStreamConsumer({ ConsumerARN: Consumer.ConsumerARN });
    status = found.ConsumerDescription.ConsumerStatus;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const names = [];
  for await (const page of paginateListStreamConsumers({ client: kinesis }, { StreamARN })) {
    names.push(...page.Consumers.map((consumer) => consumer.ConsumerName));
  }
  assert.deepEqual(names, ["javascript"]);
  const events = await Promise.all(shards.map((shard, n) => pushed(Consumer.ConsumerARN, shard, read[n].length)));
  assert.deepEqual(events, read);

  const Key = { streamName: { S: "javascript" }, shardId: { S: shards[0] } };
  await dynamodb.createTable({
    TableName: "javascript", BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: Object.keys(Key).map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
    KeySchema: [{ AttributeName: "streamName", KeyType: "HASH" }, { AttributeName: "shardId", KeyType: "RANGE" }],
  });
  await waitUntilTableExists({ client: dynamodb, ...soon }, { TableName: "javascript" });
  const lease = (owner) => dynamodb.updateItem({
    TableName: "javascript", Key, UpdateExpression: "SET leaseOwner = :owner",
    ConditionExpression: "attribute_not_exists(leaseOwner) OR leaseOwner = :owner",
    ExpressionAttributeValues: { ":owner": { S: owner } },
  });
  await lease("one");
  await assert.rejects(lease("two"), { name: "ConditionalCheckFailedException" });
  const { Item } = await dynamodb.getItem({ TableName: "javascript", Key, ConsistentRead: true });
  assert.deepEqual(Item.leaseOwner, { S: "one" });
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
