import { Client } from 'paho-mqtt';

const client = new Client(
    'mqtt-ws.tendrl.com', 
    443, 
    '/ws', 
    'client_id'
);

// Connection options
const options = {
    useSSL: true,
    userName: 'your_username',
    password: 'your_password',
    onSuccess: () => {
        console.log('Connected to Tendrl MQTT');
        client.subscribe('your/messages/topic');
    },
    onFailure: (error) => {
        console.error('Connection failed', error);
    }
};

// Connect
client.connect(options);

// Message handling
client.onMessageArrived = (message) => {
    const parsedMessage = JSON.parse(message.payloadString);
    // Example of a valid message structure
    const validMessage = {
        msg_type: "publish", // or "heartbeat"
        data: { temperature: 25.5 },
        tags: ["sensor"],
        timestamp: new Date().toISOString()
    };
    console.log('Received message:', parsedMessage);
};
