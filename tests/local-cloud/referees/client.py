"""AWS's SDK for Python, unchanged: writes, reads, subscribes, and keeps a lease in a table.

Endpoint and credentials come from the environment, as for any program of the SDK. Fails with a traceback.
"""

import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(retries={"total_max_attempts": 1})
kinesis = boto3.client("kinesis", config=config)
dynamodb = boto3.client("dynamodb", config=config)


def refused(code, call, **request):
    try:
        call(**request)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"{code} expected")


kinesis.create_stream(StreamName="python", ShardCount=2)
kinesis.get_waiter("stream_exists").wait(StreamName="python", WaiterConfig={"Delay": 1})
stream = kinesis.describe_stream_summary(StreamName="python")["StreamDescriptionSummary"]["StreamARN"]
refused("ResourceInUseException", kinesis.create_stream, StreamName="python", ShardCount=2)
refused("ResourceNotFoundException", kinesis.describe_stream, StreamName="nowhere")

wanted = {f"key-{n}": f'{{"n":{n},"text":"\u00e4\u20ac"}}'.encode() for n in range(300)}
put = kinesis.put_records(
    StreamName="python", Records=[{"PartitionKey": key, "Data": data} for key, data in wanted.items()]
)
assert put["FailedRecordCount"] == 0

page = kinesis.list_shards(StreamName="python", MaxResults=1)
shards = [shard["ShardId"] for shard in page["Shards"]]
while "NextToken" in page:
    page = kinesis.list_shards(NextToken=page["NextToken"], MaxResults=1)
    shards += [shard["ShardId"] for shard in page["Shards"]]
assert len(shards) == 2, shards
seen = {}
for shard in shards:
    iterator = kinesis.get_shard_iterator(StreamName="python", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    page = kinesis.get_records(ShardIterator=iterator["ShardIterator"], Limit=100)
    while page["Records"]:
        for record in page["Records"]:
            assert abs(time.time() - record["ApproximateArrivalTimestamp"].timestamp()) < 60
            seen[record["PartitionKey"]] = record["Data"]
        page = kinesis.get_records(ShardIterator=page["NextShardIterator"], Limit=100)
    assert page["MillisBehindLatest"] == 0
assert seen == wanted

consumer = kinesis.register_stream_consumer(StreamARN=stream, ConsumerName="python")["Consumer"]["ConsumerARN"]
deadline = time.time() + 10
while kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE":
    assert time.time() < deadline
    time.sleep(0.05)
pushed = {}
for shard in shards:
    subscription = kinesis.subscribe_to_shard(
        ConsumerARN=consumer, ShardId=shard, StartingPosition={"Type": "TRIM_HORIZON"}
    )
    for event in subscription["EventStream"]:
        records = event["SubscribeToShardEvent"]["Records"]
        pushed.update((record["PartitionKey"], record["Data"]) for record in records)
        if event["SubscribeToShardEvent"]["MillisBehindLatest"] == 0:
            break
    subscription["EventStream"].close()
assert pushed == wanted

key = {"streamName": {"S": "python"}, "shardId": {"S": shards[0]}}
dynamodb.create_table(
    TableName="python", BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in key],
    KeySchema=[{"AttributeName": "streamName", "KeyType": "HASH"}, {"AttributeName": "shardId", "KeyType": "RANGE"}],
)
dynamodb.get_waiter("table_exists").wait(TableName="python", WaiterConfig={"Delay": 1})
lease = {"TableName": "python", "Key": key, "UpdateExpression": "SET leaseOwner = :owner",
         "ConditionExpression": "attribute_not_exists(leaseOwner) OR leaseOwner = :owner"}
dynamodb.update_item(**lease, ExpressionAttributeValues={":owner": {"S": "one"}})
refused("ConditionalCheckFailedException", dynamodb.update_item, **lease,
        ExpressionAttributeValues={":owner": {"S": "two"}})
assert dynamodb.get_item(TableName="python", Key=key, ConsistentRead=True)["Item"]["leaseOwner"] == {"S": "one"}
print("done")
